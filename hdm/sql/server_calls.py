"""Calls of a driver: errors in hdm's words, with the server's address; none waits for ever."""

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
    """What every ``Database`` calls its server by."""

    tls_hint: ClassVar[str] = "name the authority's certificate in the profile, or write insecure: true"
    """What to do where a server's certificate is not trusted."""

    @property
    @abstractmethod
    def dialect(self) -> Dialect:
        """The database's SQL."""

    @abstractmethod
    def dataset(self, path: Sequence[str]) -> Dataset:
        """The OpenLineage name of a table; no connecting."""

    @abstractmethod
    def default_path(self, parts: Sequence[str]) -> tuple[str, ...]:
        """The name with the default schema filled in; no connecting."""

    @abstractmethod
    def connect(self, label: str = "hdm", *, write: bool = False) -> Any:
        """A session, named ``label`` where the server shows it."""

    @property
    def address(self) -> str:
        """Where the server is: ``host:port``, or the path of a file."""
        return self.dataset(self.default_path(("",))).namespace.partition("://")[2] or self.dialect.name

    def reach(self) -> None:
        """Raises ``ConnectionLost`` if no session can be had."""
        self.connect("hdm:reach").close()

    @contextmanager
    def classified(self) -> Iterator[None]:
        """Turns driver errors into ``HdmError`` without their text."""
        try:
            yield
        except (HdmError, GeneratorExit, KeyboardInterrupt, SystemExit):
            raise
        except Exception as error:  # noqa: BLE001 -- drivers share no base class
            found = self.dialect.classify(error)
            raise (self._placed(found, error) if isinstance(found, ConnectionLost) else found) from None

    @contextmanager
    def connecting(self) -> Iterator[None]:
        """``classified``, for a login: whatever is wrong is said with the server's address and, in one
        word, whether it was DNS, a refusal, a time-out, TLS or the login: see ``unreachable``."""
        try:
            yield
        except (HdmError, GeneratorExit, KeyboardInterrupt, SystemExit):
            raise
        except Exception as error:  # noqa: BLE001 -- drivers share no base class
            found, why = self.dialect.classify(error), unreachable.reason(error)
            if why in (None, unreachable.TIMEOUT) and isinstance(found, ConnectionLost):
                why = self._unknown() or why  # some drivers wait in vain for a name that nobody knows
            if why == unreachable.DNS:
                found = UnknownPlace(found.message, hint="correct the host's name in the profile")
            elif why == unreachable.TLS:
                found = UsageError(f"{self.dialect.name}: no trusted connection", hint=self.tls_hint)
            elif why in unreachable.AWAY and not isinstance(found, ConnectionLost | Throttled):
                found = ConnectionLost(found.message, hint=found.hint)
            raise self._placed(found, error) from None

    def _unknown(self) -> str | None:
        """That the host's name is not known, if a look of our own finds so."""
        try:
            host, _, port = self.address.rpartition(":")
        except HdmError:
            return None
        return unreachable.DNS if port.isdecimal() and not unreachable.is_known(host) else None

    def _placed(self, found: HdmError, error: BaseException) -> HdmError:
        """The error with the server's address and why it was not reached."""
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
        """``classified``, for a call that waits for the server: should it never answer, the call ends
        as for a lost connection. See ``hdm.components.silence``."""
        with self.classified(), waiting(self.socket_of(connection), lambda: self.works_for(connection)):
            yield

    def called(self, connection: Any, items: Iterator[T]) -> Iterator[T]:
        """The items of a generator that waits for the server for each: see ``calling``."""
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
        """The descriptor of a session's socket; None if the driver does not give it away."""
        return None

    def works_for(self, connection: Any) -> bool | None:
        """Whether the server is at work for that session just now, asked by another one; None if it
        cannot tell. Called from another thread while the session waits."""
        return None
