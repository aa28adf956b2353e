"""Which engine a server is, asked of the server itself."""

from contextlib import suppress

from elasticsearch import Elasticsearch
from opensearchpy import OpenSearch

from ...errors import NotFoundError, RefusedError
from .elasticsearch import ElasticsearchEngine
from .engine import Engine
from .faults import foreign
from .opensearch import OpenSearchEngine

Client = OpenSearch | Elasticsearch


def connect(url: str) -> Engine:
    """The engine at a URL.

    Raises:
        UnreachableError: nothing answers there.
        RefusedError: what answers is neither OpenSearch nor Elasticsearch.
    """
    # opensearch-py takes an answer from any server; elasticsearch-py only from its own.
    first = OpenSearchEngine.at(url)
    with suppress(RefusedError, NotFoundError):  # a bare Elasticsearch does not answer GET /
        if first.distribution() == "opensearch":
            return first
    first.close()
    second = ElasticsearchEngine.at(url)
    try:
        second.version()
    except NotFoundError as error:
        raise foreign(second.url) from error
    return second


def engine_of(client: Client) -> Engine:
    """The engine behind a client of one's own."""
    given = "the given client"
    if isinstance(client, OpenSearch):
        return OpenSearchEngine(client, given)
    return ElasticsearchEngine(client, given)
