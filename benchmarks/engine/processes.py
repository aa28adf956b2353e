"""Processes that ask or write beside this one: threads would share an interpreter."""

import multiprocessing
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import cycle
from multiprocessing.connection import Connection
from typing import Any, NamedTuple

from meta4.adapter.engines.connection import connect
from meta4.adapter.engines.engine import Engine
from meta4.adapter.load.loader import HASHED

from .collection import Body
from .sides import Send, Side

#: Nothing is inherited: neither connections nor threads.
_PROCESSES = multiprocessing.get_context("spawn")
#: Bulk requests of a writer in a second.
_BULKS = 10


class Answered(NamedTuple):
    """What one client did: requests, and the seconds and seconds of CPU that they took."""

    requests: int
    seconds: float
    cpu_seconds: float


@contextmanager
def askers(url: str, n: int) -> Iterator[Callable[[Side, Sequence[Body], float], list[Answered]]]:
    """Several clients, each a process with a connection of its own.

    Args:
        url: of the engine.
        n: how many.

    Returns:
        A function that has all of them ask a side at once: of the side, the bodies that are asked
        over and over, and for how many seconds. The clients begin at different bodies.
    """
    with _running(_ask, url, n) as pipes:

        def ask(side: Side, bodies: Sequence[Body], seconds: float) -> list[Answered]:
            for i, pipe in enumerate(pipes):
                start = i * len(bodies) // len(pipes)
                pipe.send((side, [*bodies[start:], *bodies[:start]], seconds))
            return [pipe.recv() for pipe in pipes]

        yield ask


@contextmanager
def writing(
    url: str, index: str, payloads: Sequence[bytes]
) -> Iterator[Callable[[], tuple[int, float]]]:
    """A process that sends bulk payloads, ten a second, for as long as the context.

    Args:
        url: of the engine.
        index: what is written to.
        payloads: of documents that are hashed already, one after the other, over and over.

    Returns:
        A function that ends it, and gives how many payloads it sent and in how many seconds.
    """
    with _running(_write, url, 1) as (pipe,):
        pipe.send((index, list(payloads)))
        pipe.recv()  # the first is written

        def end() -> tuple[int, float]:
            pipe.send(None)
            sent, seconds = pipe.recv()
            return sent, seconds

        yield end


def per_payload(documents_a_second: int) -> int:
    """How many documents a payload has for that many a second."""
    return documents_a_second // _BULKS


@contextmanager
def _running(
    work: Callable[[Engine, Connection], None], url: str, n: int
) -> Iterator[list[Connection]]:
    """Processes that do some work, each at the other end of a pipe."""
    pairs = [_PROCESSES.Pipe() for _ in range(n)]
    workers = [
        _PROCESSES.Process(target=_connected, args=(work, url, theirs), daemon=True)
        for _, theirs in pairs
    ]
    for worker in workers:
        worker.start()
    for _, theirs in pairs:
        theirs.close()  # so that the end of a worker is the end of its pipe
    pipes = [ours for ours, _ in pairs]
    try:
        yield pipes
    finally:
        for pipe in pipes:
            pipe.close()
        for worker in workers:
            worker.join()


def _connected(work: Callable[[Engine, Connection], None], url: str, pipe: Connection) -> None:
    engine = connect(url)
    try:
        work(engine, pipe)
    except EOFError:  # who started us is done with us
        pass
    finally:
        engine.close()


def _ask(engine: Engine, pipe: Connection) -> None:
    senders: dict[Side, Send] = {}
    while True:
        side, bodies, wanted = pipe.recv()
        if side not in senders:
            senders[side] = side.sender(engine)
        send = senders[side]
        cpu, started, n = time.process_time(), time.perf_counter(), 0
        for body in cycle(bodies):
            send(body)
            n += 1
            if (seconds := time.perf_counter() - started) >= wanted:
                break
        pipe.send(Answered(n, seconds, time.process_time() - cpu))


def _write(engine: Engine, pipe: Connection) -> None:
    index, payloads = pipe.recv()
    started = 0.0
    for sent, payload in enumerate(cycle(payloads)):
        if sent == 1:
            started = time.monotonic()
            pipe.send(None)
        due = started + (sent - 1) / _BULKS - time.monotonic()
        if sent and pipe.poll(max(0.0, due)):
            pipe.recv()
            pipe.send((sent - 1, time.monotonic() - started))
            return
        items: list[Any] = engine.bulk(index, payload, dict(HASHED))
        failed = [item["error"] for item in items if "error" in item]
        assert not failed, failed[0]
