"""Which engine a server is, asked of the server itself."""

from contextlib import suppress
from typing import TYPE_CHECKING, TypeAlias

from opensearchpy import OpenSearch

from ...errors import NotFoundError, RefusedError
from .access import Access
from .engine import Engine
from .faults import foreign
from .opensearch import OpenSearchEngine

if TYPE_CHECKING:
    from elasticsearch import Elasticsearch

Client: TypeAlias = "OpenSearch | Elasticsearch"


def connect(url: str, access: Access | None = None) -> Engine:
    """The engine at a URL.

    Args:
        url: where; may hold a user and a password, and be several nodes with commas between.
        access: who we are and whom we trust; nobody, and the system's certificates by default.

    Raises:
        UnreachableError: nothing answers there.
        RefusedError: what answers is neither OpenSearch nor Elasticsearch.
    """
    access = (access or Access()).for_url(url)
    # opensearch-py takes an answer from any server; elasticsearch-py only from its own.
    first = OpenSearchEngine.at(url, access)
    with suppress(RefusedError, NotFoundError):  # a bare Elasticsearch does not answer GET /
        if first.distribution() == "opensearch":
            return first
    first.close()
    from .elasticsearch import ElasticsearchEngine  # takes as long to import as all the rest

    second = ElasticsearchEngine.at(url, access)
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
    from .elasticsearch import ElasticsearchEngine

    return ElasticsearchEngine(client, given)
