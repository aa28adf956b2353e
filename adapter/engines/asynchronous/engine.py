"""What meta4 asks of a cluster, by a client that does not wait."""

import asyncio
from abc import ABC, abstractmethod
from typing import Any, TypeVar

from ....errors import EngineError, Meta4Error
from ..calls import Call, Calls, Json, Pause, Step, Steps
from ..engine import Engine

T = TypeVar("T")


class AsyncEngine(ABC):
    """One cluster. Every method raises meta4's errors only.

    Attributes:
        calls: what is asked of it.
    """

    calls: Calls

    async def run(self, steps: Steps[T]) -> T:
        """Do what is yielded, one thing after the other; gives what is returned."""
        try:
            step = next(steps)
            while True:
                try:
                    answer = await self._do(step)
                except Meta4Error as error:
                    step = steps.throw(error)
                else:
                    step = steps.send(answer)
        except StopIteration as stop:
            result: T = stop.value
            return result
        finally:
            steps.close()

    async def _do(self, step: Step) -> Any:
        if isinstance(step, Call):
            return await self.request(step.method, step.path, step.body, step.params)
        if isinstance(step, Pause):
            return await asyncio.sleep(step.seconds)
        waiting = self.waiting(asyncio.get_running_loop())
        try:
            return await asyncio.to_thread(step.function, waiting)
        except asyncio.CancelledError:
            waiting.end()  # a thread cannot be cancelled, but it asks for nothing more
            raise

    @abstractmethod
    async def request(
        self, method: str, path: str, body: Any = None, params: Json | None = None
    ) -> Any:
        """Any call, by its path; bytes are NDJSON."""

    @abstractmethod
    def waiting(self, loop: asyncio.AbstractEventLoop) -> "OnLoop":
        """The same cluster for other threads, which wait for what `loop` does."""

    @abstractmethod
    async def close(self) -> None:
        """Close the connections."""


class OnLoop(Engine):
    """Requests of a thread, made by an event loop in another: a base beside an engine's own."""

    def __init__(self, asked: AsyncEngine, loop: asyncio.AbstractEventLoop) -> None:
        self._asked = asked
        self._loop = loop
        self._ended = False
        self.calls = asked.calls

    def end(self) -> None:
        """Answer no request any more."""
        self._ended = True

    def request(self, method: str, path: str, body: Any = None, params: Json | None = None) -> Any:
        """See `Engine`."""
        if self._ended:
            raise EngineError(f"{self.url}: whoever asked has gone")
        made = self._asked.request(method, path, body, params)
        return asyncio.run_coroutine_threadsafe(made, self._loop).result()

    def close(self) -> None:
        """Nothing: the connections are the loop's."""
