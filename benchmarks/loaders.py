"""Who loads while faults are caused: meta4, and the clients' own helpers in two ways."""

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import elasticsearch.helpers
import opensearchpy.helpers

from meta4 import Document, Meta4
from meta4.adapter.engines.connection import connect
from meta4.adapter.load.loader import LoadReport, load_documents

Body = dict[str, Any]
Documents = Iterator[Body]
_CHUNK = 500
#: What those set who have read about it. Both helpers wait between tries after a 429 alone.
_CAREFUL = {"max_retries": 10, "retry_on_timeout": True}


@dataclass
class Told:
    """What a loader says of its work.

    Attributes:
        n_acknowledged: documents.
        longest_pause: seconds between two acknowledgements, or until the first.
        ended: the error that ended it, if one did.
    """

    n_acknowledged: int = 0
    longest_pause: float = 0.0
    ended: str = ""
    _last: float = field(default_factory=time.monotonic)

    def acknowledge(self, n: int) -> None:
        """So many more."""
        now = time.monotonic()
        self.longest_pause = max(self.longest_pause, now - self._last)
        self._last = now
        self.n_acknowledged += n


class Loader(NamedTuple):
    """One way to load and to search.

    Attributes:
        name: for the table.
        load: of (engine's name, URL, index, documents, what is told).
        searcher: of (engine's name, URL) gives a function that sends one body to one index.
    """

    name: str
    load: Callable[[str, str, str, Documents, Told], None]
    searcher: Callable[[str, str], Callable[[str, Body], Any]]


def _meta4(_engine: str, url: str, index: str, documents: Documents, told: Told) -> None:
    engine = connect(url)
    hasher = engine.run(Meta4(engine).core.hasher(index))

    def settled(report: LoadReport) -> None:
        told.acknowledge(report.n_indexed - told.n_acknowledged)

    stream = (Document(str(source["rank"]), source) for source in documents)
    load_documents(engine, index, stream, hasher, settled=settled)
    engine.close()


def _meta4_searcher(_engine: str, url: str) -> Callable[[str, Body], Any]:
    meta4 = Meta4(url)
    return lambda index, body: meta4.engine.search(index, body)


def _client(engine: str, url: str, options: Body) -> Any:
    hosts = url.split(",")
    if engine == "opensearch":
        return opensearchpy.OpenSearch(hosts, **options)
    return elasticsearch.Elasticsearch(hosts, **options)


def _helpers(engine: str) -> Any:
    return opensearchpy.helpers if engine == "opensearch" else elasticsearch.helpers


def _bulk(engine: str, url: str, index: str, documents: Documents, told: Told) -> None:
    """As the helpers' own pages show it: the server gives ids, an error ends it."""
    actions = ({"_index": index, "_source": source} for source in documents)
    client = _client(engine, url, {})
    for _ in _helpers(engine).streaming_bulk(client, actions, chunk_size=_CHUNK):
        told.acknowledge(1)


def _careful_bulk(engine: str, url: str, index: str, documents: Documents, told: Told) -> None:
    """With ids and retries, and errors passed over."""
    actions = (
        {"_index": index, "_id": str(source["rank"]), "_source": source} for source in documents
    )
    results = _helpers(engine).streaming_bulk(
        _client(engine, url, _CAREFUL),
        actions,
        chunk_size=_CHUNK,
        max_retries=10,
        raise_on_error=False,
        raise_on_exception=False,
    )
    for taken, _ in results:
        if taken:
            told.acknowledge(1)


def _searcher(options: Body) -> Callable[[str, str], Callable[[str, Body], Any]]:
    def make(engine: str, url: str) -> Callable[[str, Body], Any]:
        client = _client(engine, url, options)
        return lambda index, body: client.search(index=index, body=body)

    return make


LOADERS = (
    Loader("meta4", _meta4, _meta4_searcher),
    Loader("`helpers.bulk`", _bulk, _searcher({})),
    Loader("`helpers.bulk`, ids and retries", _careful_bulk, _searcher(_CAREFUL)),
)


class Searching:
    """Queries one after the other, all through a context.

    Attributes:
        n_sent: queries.
        failures: what those said that failed.
    """

    def __init__(self, search: Callable[[str, Body], Any], index: str, body: Body) -> None:
        self._work: Callable[[], Any] = lambda: search(index, body)
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.n_sent = 0
        self.failures: list[str] = []

    def __enter__(self) -> "Searching":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._ended.wait(0.02):
            self.n_sent += 1
            try:
                self._work()
            except Exception as error:  # whatever it is, somebody waits for an answer
                self.failures.append(repr(error))
