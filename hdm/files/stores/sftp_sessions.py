"""Keeps open SSH connections for reuse, and translates errors of SFTP to hdm's.

The protocol: https://datatracker.ietf.org/doc/html/draft-ietf-secsh-filexfer-02
"""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

from hdm.components import unreachable
from hdm.errors import MissingDriver, TransientError, UsageError

_MOST_IDLE = 8
_SILENCE = 60.0
"""Seconds after which an answer is not waited for any longer."""
_ENDING = 5.0
"""Seconds in which a thread that was told to end has ended."""


def no_driver() -> MissingDriver:
    """Return the error that says which extra of hdm to install for SFTP."""
    return MissingDriver("SFTP needs paramiko", hint="pip install 'hdm[sftp]'")


@contextmanager
def sftp_errors(call: str, where: str) -> Iterator[None]:
    """Translate failures of SFTP requests in the ``with`` block to hdm's errors.

    ``call`` names the request, ``where`` the file's address. Two exceptions are answers for the caller:
    ``FileNotFoundError`` says that there is no such file, ``FileExistsError`` that there is one already.
    The server's texts are not quoted.
    """
    try:
        import paramiko
    except ImportError:
        raise no_driver() from None
    try:
        yield
    except (FileNotFoundError, FileExistsError):
        raise
    except paramiko.BadHostKeyException as error:
        raise UsageError(
            f"the server of {where} shows another host key than the one that is known: "
            f"{error.key.fingerprint}",
            hint="ask who runs the server whether its key was changed; if so, correct `host_key:` or the "
            "file `known_hosts:`",
        ) from None
    except paramiko.AuthenticationException:
        raise UsageError(
            f"the server of {where} refused the login",
            hint="correct `user:`, and `password:` or `private_key_file:`, in the connection",
        ) from None
    except PermissionError:
        raise UsageError(
            f"the server denied {call} of {where}", hint="let the user read and write in the directory"
        ) from None
    except (paramiko.SSHException, EOFError) as error:
        raise unreachable.failed(error, f"the connection to {where} failed") from None
    except paramiko.SFTPError:
        raise TransientError(f"{call} of {where} got an answer that is none of SFTP's") from None
    except OSError as error:
        if unreachable.reason(error) is not None or error.errno is not None:
            raise unreachable.failed(error, f"the connection to {where} failed") from None
        raise TransientError(
            f"the server failed at {call} of {where}", hint="look for room and rights on the server's disk"
        ) from None


class Session:
    """An SSH connection with an SFTP channel in it, for one thread at a time."""

    def __init__(self, client: Any) -> None:
        self._client = client
        try:
            self.sftp = client.open_sftp()
            self.sftp.get_channel().settimeout(_SILENCE)
            _wait_for_timer(client.get_transport())
        except BaseException:
            client.close()
            raise

    @property
    def is_alive(self) -> bool:
        """True if the connection is not known to be lost."""
        transport = self._client.get_transport()
        return transport is not None and transport.is_active()

    def close(self) -> None:
        """Close the connection; may be called again."""
        transport = self._client.get_transport()
        with suppress(Exception):
            self.sftp.close()
        with suppress(Exception):
            self._client.close()
        if transport is not None and transport is not threading.current_thread():
            transport.join(_ENDING)  # paramiko's thread of the connection, which ends by itself


def _wait_for_timer(transport: Any) -> None:
    """Wait for the thread of paramiko's time limit for logins, which the login has cancelled."""
    for thread in threading.enumerate():
        if isinstance(thread, threading.Timer) and thread.function == transport.packetizer.read_timer:
            thread.join(_ENDING)


class Sessions:
    """The connections of one store: each is used by one thread at a time, and kept for the next.

    ``connect`` returns a logged-in ``paramiko.SSHClient``. Logins are made one after the other, since servers
    drop some of many that come at once (``MaxStartups``, https://man.openbsd.org/sshd_config).
    """

    def __init__(self, connect: Callable[[], Any], where: str) -> None:
        self._connect = connect
        self._where = where
        self._idle: list[Session] = []
        self._guard = threading.Lock()
        self._login = threading.Lock()
        weakref.finalize(self, _close_all, self._idle)

    @contextmanager
    def use(self, call: str, where: str) -> Iterator[Any]:
        """Lend an SFTP client for the ``with`` block; its errors are translated, see ``sftp_errors``."""
        session = self.take()
        is_good = False
        try:
            with sftp_errors(call, where):
                try:
                    yield session.sftp
                    is_good = True
                except (FileNotFoundError, FileExistsError):
                    is_good = True  # the server has answered
                    raise
        finally:
            self.give(session, is_good=is_good)

    def take(self) -> Session:
        """Return a connection that is the caller's own until ``give``: one that is idle, or a new one."""
        while True:
            with self._guard:
                found = self._idle.pop() if self._idle else None
            if found is None:
                break
            if found.is_alive:
                return found
            found.close()
        with self._login, sftp_errors("login", self._where):
            return Session(self._connect())

    def give(self, session: Session, *, is_good: bool) -> None:
        """Take a connection back; close it if it is not good any more or if enough are idle."""
        with self._guard:
            if is_good and session.is_alive and len(self._idle) < _MOST_IDLE:
                self._idle.append(session)
                return
        session.close()


def _close_all(idle: list[Session]) -> None:
    while idle:
        idle.pop().close()
