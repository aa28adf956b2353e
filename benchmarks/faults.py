"""Faults really caused: a TCP proxy that cuts and delays what goes through it."""

import socket
import ssl
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import closing, suppress
from typing import Literal, NamedTuple

_HOST = "127.0.0.1"
_PIECE = 16_384


class Fault(NamedTuple):
    """What happens to a connection.

    Attributes:
        way: "up" to the server, "down" to the client; in which it is cut off.
        byte: after how many bytes; None to let it live.
        delay: seconds until it is taken.
    """

    way: Literal["up", "down"] = "up"
    byte: int | None = None
    delay: float = 0.0


class Proxy:
    """Stands before a server on this machine; as a context it listens.

    Args:
        port: of the server.
        tls: a context, with which connections are encrypted up to here.

    Attributes:
        port: where it listens.
        url: the same for HTTP.
        n_cut: connections cut so far.
    """

    def __init__(self, port: int, tls: ssl.SSLContext | None = None) -> None:
        self._port = port
        self._tls = tls
        self._plan: Iterator[Fault] = iter(())
        self._lock = threading.Lock()
        self._listener = socket.create_server((_HOST, 0))
        scheme = "http" if tls is None else "https"
        self.port = int(self._listener.getsockname()[1])
        self.url = f"{scheme}://{_HOST}:{self.port}"
        self.n_cut = 0
        self._living: set[socket.socket] = set()
        self._is_shut = False

    def __enter__(self) -> "Proxy":
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Take no more connections."""
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def follow(self, plan: Iterable[Fault]) -> None:
        """What happens to each connection from now on; afterwards nothing does."""
        self._plan = iter(plan)

    def shut(self) -> None:
        """Cut all that lives, and whoever comes, until `reopen`."""
        with self._lock:
            self._is_shut = True
            for connection in self._living:
                _end(connection)

    def reopen(self) -> None:
        """Let through again."""
        with self._lock:
            self._is_shut = False

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            with self._lock:
                if self._is_shut:
                    client.close()
                    continue
                self._living.add(client)
                fault = next(self._plan, Fault())
            threading.Thread(target=self._serve, args=(client, fault), daemon=True).start()

    def _serve(self, client: socket.socket, fault: Fault) -> None:
        time.sleep(fault.delay)
        if self._tls is not None:
            try:
                client = self._tls.wrap_socket(client, server_side=True)
            except OSError:  # a client that does not trust us, or that we do not trust
                client.close()
                return
        try:
            far = socket.create_connection((_HOST, self._port))
        except OSError:
            client.close()
            return
        with closing(client), closing(far):
            cut_up = fault.byte if fault.way == "up" else None
            cut_down = fault.byte if fault.way == "down" else None
            up = threading.Thread(target=self._pass, args=(client, far, cut_up), daemon=True)
            up.start()
            self._pass(far, client, cut_down)
            up.join(timeout=5)
            with self._lock:
                self._living.discard(client)

    def _pass(self, source: socket.socket, sink: socket.socket, cut_at: int | None) -> None:
        """Bytes in one direction, until the end or the byte to cut at."""
        passed = 0
        with suppress(OSError):
            while piece := source.recv(_PIECE):
                if cut_at is not None and passed + len(piece) >= cut_at:
                    sink.sendall(piece[: cut_at - passed])
                    self.n_cut += 1
                    break
                sink.sendall(piece)
                passed += len(piece)
        _end(source)
        _end(sink)


def _end(connection: socket.socket) -> None:
    with suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)
