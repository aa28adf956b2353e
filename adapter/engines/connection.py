"""Which engine a server is, asked of the server itself."""

import asyncio
import re
from importlib.util import find_spec
from typing import TYPE_CHECKING, TypeAlias
from urllib.parse import urlsplit

from opensearchpy import OpenSearch

from ...errors import InputError, MissingExtraError, NotFoundError, RefusedError
from .access import Access
from .asynchronous.engine import AsyncEngine
from .engine import Engine
from .faults import foreign, hosts_of, redacted
from .opensearch import OpenSearchEngine

if TYPE_CHECKING:
    from elasticsearch import AsyncElasticsearch, Elasticsearch
    from opensearchpy import AsyncOpenSearch

Client: TypeAlias = "OpenSearch | Elasticsearch"
AsyncClient: TypeAlias = "AsyncOpenSearch | AsyncElasticsearch"
#: The URL of a client that somebody else has made, for messages.
_GIVEN = "the given client"
#: Answers to who we are, of either engine.
_NOT_YOU = frozenset({401, 403})


def connect(url: str, access: Access | None = None) -> Engine:
    """The engine at a URL.

    Args:
        url: where; may hold a user and a password, and be several nodes with commas between.
        access: who we are and whom we trust; nobody, and the system's certificates by default.

    Raises:
        InputError: no URL of a server.
        UnreachableError: nothing answers there.
        RefusedError: what answers is neither OpenSearch nor Elasticsearch, or does not let us
            ask.
    """
    check_url(url)
    if not isinstance(access, Access | None):
        raise InputError(f"access: expected a meta4.Access, got a {type(access).__name__}")
    access = (access or Access()).for_url(url)
    # opensearch-py takes an answer from any server; elasticsearch-py only from its own.
    first = OpenSearchEngine.at(url, access)
    refused: RefusedError | NotFoundError | None = None
    try:
        if first.distribution() == "opensearch":
            return first
    except (RefusedError, NotFoundError) as error:  # a bare Elasticsearch does not answer GET /
        refused = error
    first.close()
    from .elasticsearch import ElasticsearchEngine  # takes as long to import as all the rest

    second = ElasticsearchEngine.at(url, access)
    try:
        second.version()
    except (RefusedError, NotFoundError) as error:
        second.close()
        for answer in (error, refused):
            if isinstance(answer, RefusedError) and answer.status in _NOT_YOU:
                raise answer from None
        raise foreign(second.url) from error
    return second


def engine_of(client: object) -> Engine:
    """The engine behind a client of one's own.

    Raises:
        InputError: it is none of those that there are.
    """
    if isinstance(client, OpenSearch):
        return OpenSearchEngine(client, _GIVEN)
    from elasticsearch import Elasticsearch

    from .elasticsearch import ElasticsearchEngine

    if isinstance(client, Elasticsearch):
        return ElasticsearchEngine(client, _GIVEN)
    raise InputError(
        f"expected a URL, an opensearchpy.OpenSearch or an elasticsearch.Elasticsearch, got "
        f"{_named(client)}; asynchronous clients go to AsyncMeta4"
    )


async def connect_async(url: str, access: Access | None = None) -> AsyncEngine:
    """As `connect`, for a client that does not wait.

    Raises:
        MissingExtraError: the package that such clients are built on is not installed.
    """
    _check_async()
    # Asked once, by the client that waits.
    found = await asyncio.to_thread(connect, url, access)
    found.close()
    access = (access or Access()).for_url(url)
    if isinstance(found, OpenSearchEngine):
        from .asynchronous.opensearch import AsyncOpenSearchEngine

        return AsyncOpenSearchEngine.at(url, access)
    from .asynchronous.elasticsearch import AsyncElasticsearchEngine

    return AsyncElasticsearchEngine.at(url, access)


def async_engine_of(client: object) -> AsyncEngine:
    """The engine behind an asynchronous client of one's own; raises as `engine_of` does."""
    _check_async()
    from elasticsearch import AsyncElasticsearch
    from opensearchpy import AsyncOpenSearch

    if isinstance(client, AsyncOpenSearch):
        from .asynchronous.opensearch import AsyncOpenSearchEngine

        return AsyncOpenSearchEngine(client, _GIVEN)
    if isinstance(client, AsyncElasticsearch):
        from .asynchronous.elasticsearch import AsyncElasticsearchEngine

        return AsyncElasticsearchEngine(client, _GIVEN)
    raise InputError(
        f"expected a URL, an opensearchpy.AsyncOpenSearch or an elasticsearch.AsyncElasticsearch, "
        f"got {_named(client)}; synchronous clients go to Meta4"
    )


def check_url(url: str) -> None:
    """Refuse what can be no server's address, before anything is sent.

    Raises:
        InputError: it cannot.
    """
    hosts = hosts_of(url)
    for host in hosts:
        try:
            parts = urlsplit(host)
            fine = parts.scheme in ("http", "https") and bool(parts.hostname)
            fine = fine and parts.port != 0 and not re.search(r"\s", host)
        except ValueError:  # a port out of range, half a bracket
            fine = False
        if not fine:
            break
    else:
        if hosts:
            return
    raise InputError(f"{redacted(url)!r} is no server's address; expected http://host:port")


def _check_async() -> None:
    """Both engines' clients are built on it."""
    if find_spec("aiohttp") is None:
        raise MissingExtraError("aiohttp", "async", "an asynchronous client")


def _named(client: object) -> str:
    return "None" if client is None else f"a {type(client).__name__}"
