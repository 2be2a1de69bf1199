"""A TCP proxy of the tests' own: it can lose every byte while the connections stay open, or refuse."""

from __future__ import annotations

import contextlib
import selectors
import socket
import threading
from collections.abc import Iterator

from tests.servers.process import HOST, free_port


class Proxy:
    """Forwards to ``target`` on this host. ``swallow``: bytes of both ways are read and lost, as when a
    firewall forgot the connections; nobody is told. ``refuse``: nobody is let in, all are cut."""

    def __init__(self, target: int) -> None:
        self.target, self.port = target, free_port()
        self.lost = 0
        """How many bytes were swallowed."""
        self._swallows = threading.Event()
        self._pairs: list[tuple[socket.socket, socket.socket]] = []
        self._lock = threading.Lock()
        self._listener: socket.socket | None = None
        self.allow()

    def swallow(self, on: bool = True) -> None:
        self._swallows.set() if on else self._swallows.clear()

    def refuse(self) -> None:
        """Close the port and all that came by it."""
        listener, self._listener = self._listener, None
        if listener is not None:
            with contextlib.suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)
            listener.close()
        self.cut()

    def cut(self) -> None:
        """End the connections that are open."""
        with self._lock:
            pairs, self._pairs = self._pairs, []
        for one in [end for pair in pairs for end in pair]:
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)

    def allow(self) -> None:
        """Let everyone in (again)."""
        self._listener = listener = socket.create_server((HOST, self.port))
        threading.Thread(target=self._accept, args=(listener,), daemon=True).start()

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                client, _ = listener.accept()
                server = socket.create_connection((HOST, self.target))
            except OSError:
                return
            with self._lock:
                self._pairs.append((client, server))
            threading.Thread(target=self._carry, args=(client, server), daemon=True).start()

    def _carry(self, client: socket.socket, server: socket.socket) -> None:
        other = {client: server, server: client}
        with selectors.DefaultSelector() as ready, contextlib.suppress(OSError), client, server:
            for one in other:
                ready.register(one, selectors.EVENT_READ)
            while True:
                for key, _ in ready.select():
                    end = key.fileobj
                    assert isinstance(end, socket.socket)
                    found = end.recv(65536)
                    if not found:
                        return
                    if self._swallows.is_set():
                        self.lost += len(found)
                    else:
                        other[end].sendall(found)


@contextlib.contextmanager
def proxy(target: int) -> Iterator[Proxy]:
    """A proxy in front of a port, gone at the end."""
    made = Proxy(target)
    try:
        yield made
    finally:
        made.refuse()
