"""Both clients under one face, so that one test is about both."""

import asyncio

import elasticsearch
import opensearchpy

from meta4 import AsyncMeta4, Meta4
from meta4.adapter.engines.opensearch import OpenSearchEngine

NAMES = ("Meta4", "AsyncMeta4")


class Synchronous:
    """`Meta4`, with the requests that it sends."""

    def __init__(self, url, **options):
        self._meta4 = Meta4(url, **options)
        self.sent = record(self._meta4.engine)

    def __getattr__(self, name):
        return getattr(self._meta4, name)

    def together(self, calls):
        """One after the other."""
        return [getattr(self._meta4, name)(**arguments) for name, arguments in calls]

    def close(self):
        self._meta4.engine.close()


class Asynchronous:
    """`AsyncMeta4` in an event loop of its own."""

    def __init__(self, url, **options):
        self._loop = asyncio.Runner()
        self._meta4 = AsyncMeta4(url, **options)
        engine, _ = self._loop.run(self._meta4._connected())
        self.sent = record(engine)

    def __getattr__(self, name):
        return lambda **arguments: self.together([(name, arguments)])[0]

    def together(self, calls):
        """All at once."""

        async def gather():
            return await asyncio.gather(
                *(getattr(self._meta4, name)(**arguments) for name, arguments in calls)
            )

        return self._loop.run(gather())

    def close(self):
        self._loop.run(self._meta4.close())
        self._loop.close()


KINDS = dict(zip(NAMES, (Synchronous, Asynchronous), strict=True))


def record(engine):
    """The (method, path) of each request from now on."""
    sent, real = [], engine.request

    def request(method, path, *args, **options):
        sent.append((method, path))
        return real(method, path, *args, **options)

    engine.request = request
    return sent


def own_client(engine, asynchronous):
    """A client of the engines' own packages."""
    names = (
        ("AsyncOpenSearch", "AsyncElasticsearch")
        if asynchronous
        else (
            "OpenSearch",
            "Elasticsearch",
        )
    )
    if isinstance(engine, OpenSearchEngine):
        return getattr(opensearchpy, names[0])(engine.url)
    return getattr(elasticsearch, names[1])(engine.url)
