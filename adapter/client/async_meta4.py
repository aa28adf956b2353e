"""`AsyncMeta4`: what a program uses that does not wait."""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Self

from ...errors import InputError, Meta4Error
from ...ingest.documents import Document
from ..engines.access import Access
from ..engines.asynchronous.engine import AsyncEngine
from ..engines.connection import AsyncClient, async_engine_of, connect_async
from ..fields.shelf import FRESH_FOR
from ..load.loader import LoadReport
from ..searches import SearchKeeper
from .core import Body, Core
from .named import run_named


class AsyncMeta4:
    """As `Meta4`, with the engines' asynchronous clients; any number of requests at once.

    >>> async with AsyncMeta4("http://localhost:9200") as meta4:
    ...     await meta4.search(index="words", body={"query": {"meta4_similar":
    ...         {"embedding": {"id": "berlin", "k": 5}}}})

    Args:
        client: a URL, whose engine is asked for at the first request, or one's own
            `opensearchpy.AsyncOpenSearch` or `elasticsearch.AsyncElasticsearch`.
        access: for a URL: who we are to the cluster, and whose certificates we trust.
        fresh_for: seconds until an index's bucket counts are read again.
        keep_searches: see `Meta4`.

    Raises:
        InputError: a client of another kind.
        MissingExtraError: the package that asynchronous clients are built on is not installed.
    """

    def __init__(
        self,
        client: "str | AsyncClient",
        *,
        access: Access | None = None,
        fresh_for: float = FRESH_FOR,
        keep_searches: float = 0.0,
    ) -> None:
        self._keeper = SearchKeeper(keep_searches)
        self._fresh_for = fresh_for
        self._url = client if isinstance(client, str) else None
        self._access = access
        self._engine = None if isinstance(client, str) else async_engine_of(client)
        self._loop: asyncio.AbstractEventLoop | None = None

    async def _connected(self) -> tuple[AsyncEngine, Core]:
        """The engine, and what is asked of it; a URL is asked once which one it is.

        Connections belong to the event loop that they were made in: in another one a URL is
        connected to anew.
        """
        loop = asyncio.get_running_loop()
        if loop is not self._loop:
            if self._url is None and self._loop is not None:
                raise InputError(
                    "the given client was used in another event loop; make another client, and "
                    "another AsyncMeta4, in this one"
                )
            self._loop, self._connecting = loop, loop.create_task(self._connect())
        try:
            return await asyncio.shield(self._connecting)
        except Meta4Error:
            if self._url is not None:
                self._loop = None  # whoever comes next asks again
            raise

    async def _connect(self) -> tuple[AsyncEngine, Core]:
        if self._url is not None:
            self._engine = await connect_async(self._url, self._access)
        assert self._engine is not None
        return self._engine, Core(self._engine.calls, self._fresh_for, self._keeper)

    async def search(self, *, index: str, body: Mapping[str, Any]) -> Body:
        """See `Meta4.search`."""
        engine, core = await self._connected()
        return await engine.run(core.search(index, body))

    async def msearch(self, *, index: str, bodies: Sequence[Mapping[str, Any]]) -> list[Body]:
        """See `Meta4.msearch`."""
        engine, core = await self._connected()
        return await engine.run(core.msearch(index, bodies))

    async def run(self, query: str, /, **parameters: Any) -> Body:
        """See `Meta4.run`."""
        engine, core = await self._connected()
        return await engine.run(run_named(engine.calls, core, query, parameters))

    async def rewrite(self, *, index: str, body: Mapping[str, Any]) -> Body:
        """See `Meta4.rewrite`."""
        engine, core = await self._connected()
        return await engine.run(core.rewrite(index, body))

    async def explain(self, *, index: str, body: Mapping[str, Any]) -> Body:
        """See `Meta4.explain`."""
        engine, core = await self._connected()
        return await engine.run(core.explain(index, body))

    async def load(self, *, index: str, documents: Iterable[Document]) -> LoadReport:
        """See `Meta4.load`. Documents are read and hashed in a thread of their own."""
        engine, core = await self._connected()
        return await engine.run(core.load(index, documents))

    async def close(self) -> None:
        """Close the connections; those of a client that was given stay open."""
        if self._url is not None and self._engine is not None:
            engine, self._engine, self._loop = self._engine, None, None
            await engine.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()
