"""Elasticsearch, through elasticsearch-py's asynchronous client."""

import asyncio
from typing import Any

from elasticsearch import AsyncElasticsearch

from ..access import Access
from ..calls import Json
from ..elasticsearch import (
    ElasticsearchCalls,
    ElasticsearchEngine,
    message,
    options_for,
    translated,
)
from ..faults import redacted, whole
from .engine import AsyncEngine, OnLoop


class AsyncElasticsearchEngine(AsyncEngine):
    """See `AsyncEngine`."""

    def __init__(self, client: AsyncElasticsearch, url: str) -> None:
        self._client = client
        self.calls = ElasticsearchCalls(url)

    @classmethod
    def at(cls, url: str, access: Access) -> "AsyncElasticsearchEngine":
        """A client for a URL, or several; nothing is sent yet. Certificates are verified."""
        return cls(AsyncElasticsearch(**options_for(url, access)), redacted(url))

    async def request(
        self, method: str, path: str, body: Any = None, params: Json | None = None
    ) -> Any:
        """See `AsyncEngine`."""
        headers, data = message(body)
        with translated(self.calls.url):
            answer = await self._client.perform_request(
                method, path, params=params, headers=headers, body=data
            )
        return whole(answer.body, self.calls.url)

    def waiting(self, loop: asyncio.AbstractEventLoop) -> OnLoop:
        """See `AsyncEngine`."""
        return ElasticsearchOnLoop(self, loop)

    async def close(self) -> None:
        """See `AsyncEngine`."""
        await self._client.close()


class ElasticsearchOnLoop(OnLoop, ElasticsearchEngine):
    """See `OnLoop`."""
