"""Wraps calls of a driver: translates its errors to hdm's, and ends calls whose connection is lost."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, ClassVar, TypeVar

from hdm.components import unreachable
from hdm.components.silence import waiting
from hdm.dialects.base import Dialect
from hdm.errors import ConnectionLost, HdmError, Throttled, UnknownPlace, UsageError
from hdm.model import Dataset

T = TypeVar("T")


class ServerCalls(ABC):
    """Base class of ``Database`` with context managers around calls of the driver."""

    tls_hint: ClassVar[str] = "name the authority's certificate in the profile, or write insecure: true"
    """Hint for a server whose certificate is not trusted."""

    @property
    @abstractmethod
    def dialect(self) -> Dialect:
        """The dialect: all SQL and type knowledge about the system."""

    @abstractmethod
    def dataset(self, path: Sequence[str]) -> Dataset:
        """Return the name of a table as OpenLineage spells it, without connecting."""

    @abstractmethod
    def default_path(self, parts: Sequence[str]) -> tuple[str, ...]:
        """Return a table's name with the default schema filled in, without connecting."""

    @abstractmethod
    def connect(self, label: str = "hdm", *, write: bool = False) -> Any:
        """Open a database session and return it; the server shows it as ``label`` if it can."""

    @property
    def address(self) -> str:
        """The server's address: ``host:port``, or the path of a file."""
        return self.dataset(self.default_path(("",))).namespace.partition("://")[2] or self.dialect.name

    def reach(self) -> None:
        """Open and close a database session; raise ``ConnectionLost`` if the server cannot be reached."""
        self.connect("hdm:reach").close()

    @contextmanager
    def classified(self) -> Iterator[None]:
        """Translate driver errors in the ``with`` block to ``HdmError``, without the driver's text."""
        try:
            yield
        except (HdmError, GeneratorExit, KeyboardInterrupt, SystemExit):
            raise
        except Exception as error:  # noqa: BLE001 -- drivers share no base class
            found = self.dialect.classify(error)
            raise (self._placed(found, error) if isinstance(found, ConnectionLost) else found) from None

    @contextmanager
    def connecting(self) -> Iterator[None]:
        """Translate driver errors of a login to ``HdmError`` with the server's address and the cause.

        The cause is e.g. DNS, a refused connection, a time-out, TLS or the login: see ``unreachable``.
        """
        try:
            yield
        except (HdmError, GeneratorExit, KeyboardInterrupt, SystemExit):
            raise
        except Exception as error:  # noqa: BLE001 -- drivers share no base class
            found, why = self.dialect.classify(error), unreachable.reason(error)
            if why in (None, unreachable.TIMEOUT) and isinstance(found, ConnectionLost):
                why = self._unknown() or why  # some drivers time out on a host name that DNS does not know
            if why == unreachable.DNS:
                found = UnknownPlace(found.message, hint="correct the host's name in the profile")
            elif why == unreachable.TLS:
                found = UsageError(f"{self.dialect.name}: no trusted connection", hint=self.tls_hint)
            elif why in unreachable.AWAY and not isinstance(found, ConnectionLost | Throttled):
                found = ConnectionLost(found.message, hint=found.hint)
            raise self._placed(found, error) from None

    def _unknown(self) -> str | None:
        """Return ``unreachable.DNS`` if the host's name cannot be resolved; else None."""
        try:
            host, _, port = self.address.rpartition(":")
        except HdmError:
            return None
        return unreachable.DNS if port.isdecimal() and not unreachable.is_known(host) else None

    def _placed(self, found: HdmError, error: BaseException) -> HdmError:
        """Add the server's address and why it was not reached to the error's message; return the error."""
        try:
            address = self.address
        except HdmError:
            return found
        why = unreachable.reason(error)
        if why is None:
            why = unreachable.LOGIN if isinstance(found, UsageError) else unreachable.looked(address)
        said = f"{address}: {why}" if why else address
        if said not in found.message:
            found.message = f"{found.message} ({said})"
            found.args = (found.message,)
        return found

    @contextmanager
    def calling(self, connection: Any) -> Iterator[None]:
        """Translate driver errors in the ``with`` block, and end a call on which the server no longer works.

        Such a call fails like a lost connection. See ``hdm.components.silence``.
        """
        with self.classified(), waiting(self.socket_of(connection), lambda: self.works_for(connection)):
            yield

    def called(self, connection: Any, items: Iterator[T]) -> Iterator[T]:
        """Yield the items of a generator, each fetched within ``calling``."""
        try:
            while True:
                with self.calling(connection):
                    try:
                        item = next(items)
                    except StopIteration:
                        return
                yield item
        finally:
            items.close()  # type: ignore[attr-defined]  # a generator

    def socket_of(self, connection: Any) -> int | None:
        """Return the file descriptor of a connection's socket; None if the driver does not tell it."""
        return None

    def works_for(self, connection: Any) -> bool | None:
        """Return True if the server is working for a connection's session now, False if not.

        None if that is not known, which is the default. Asks through another database session, from another
        thread, while the connection waits.
        """
        return None
