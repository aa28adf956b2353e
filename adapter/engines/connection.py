"""Which engine a server is, asked of the server itself."""

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
#: Answers to who we are, of either engine.
_NOT_YOU = frozenset({401, 403})


def connect(url: str, access: Access | None = None) -> Engine:
    """The engine at a URL.

    Args:
        url: where; may hold a user and a password, and be several nodes with commas between.
        access: who we are and whom we trust; nobody, and the system's certificates by default.

    Raises:
        UnreachableError: nothing answers there.
        RefusedError: what answers is neither OpenSearch nor Elasticsearch, or does not let us
            ask.
    """
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


def engine_of(client: Client) -> Engine:
    """The engine behind a client of one's own."""
    given = "the given client"
    if isinstance(client, OpenSearch):
        return OpenSearchEngine(client, given)
    from .elasticsearch import ElasticsearchEngine

    return ElasticsearchEngine(client, given)
