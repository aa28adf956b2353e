"""OpenSearch, through opensearch-py's asynchronous client."""

import asyncio
from typing import Any

from opensearchpy import AsyncOpenSearch

from ..access import Access
from ..calls import Json
from ..faults import redacted, whole
from ..opensearch import OpenSearchCalls, OpenSearchEngine, options_for, text_of, translated
from .engine import AsyncEngine, OnLoop


class AsyncOpenSearchEngine(AsyncEngine):
    """See `AsyncEngine`."""

    def __init__(self, client: AsyncOpenSearch, url: str) -> None:
        self._client = client
        self.calls = OpenSearchCalls(url)

    @classmethod
    def at(cls, url: str, access: Access) -> "AsyncOpenSearchEngine":
        """A client for a URL, or several; nothing is sent yet. Certificates are verified."""
        return cls(AsyncOpenSearch(**options_for(url, access)), redacted(url))

    async def request(
        self, method: str, path: str, body: Any = None, params: Json | None = None
    ) -> Any:
        """See `AsyncEngine`."""
        body = text_of(body)
        with translated(self.calls.url):
            answer = await self._client.transport.perform_request(
                method, path, params=params, body=body
            )
        return whole(answer, self.calls.url)

    def waiting(self, loop: asyncio.AbstractEventLoop) -> OnLoop:
        """See `AsyncEngine`."""
        return OpenSearchOnLoop(self, loop)

    async def close(self) -> None:
        """See `AsyncEngine`."""
        await self._client.close()


class OpenSearchOnLoop(OnLoop, OpenSearchEngine):
    """See `OnLoop`."""
