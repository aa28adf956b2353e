"""`Meta4`: what a program uses."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

from ...errors import EmbeddingError, InputError
from ...ingest.documents import Document, checked
from ...models.embeddings import Progress, no_progress
from ..engines.access import Access
from ..engines.connection import Client, connect, engine_of
from ..engines.engine import Engine
from ..fields.shelf import FRESH_FOR
from ..fields.vectors.duplicates import Duplicates
from ..load.loader import LoadReport
from ..search.planned import Planned
from ..searches import SearchKeeper
from .core import Body, Core
from .named import run_named

#: Documents hashed at once by `actions`.
_BATCH = 1000


class Meta4:
    """Search with `meta4_similar`, `meta4_analogy` and `meta4_hybrid` clauses.

    >>> meta4 = Meta4("http://localhost:9200")
    >>> meta4.search(index="words", body={"query": {"meta4_similar":
    ...     {"embedding": {"id": "berlin", "k": 5}}}})

    Args:
        client: a URL, whose engine is asked for at once, or one's own `opensearchpy.OpenSearch`
            or `elasticsearch.Elasticsearch`.
        access: for a URL: who we are to the cluster, and whose certificates we trust.
        fresh_for: seconds until an index's bucket counts are read again.
        keep_searches: share of the searches of which the vector is kept in the cluster, and
            nothing else, for `meta4 index tune --from-searches`, `eval` and `doctor`; at most
            1,000 of each field of an index. None by default.

    Raises:
        InputError: a client of another kind.
        UnreachableError, RefusedError: nothing answers at the URL, or neither engine does.
    """

    def __init__(
        self,
        client: "str | Client | Engine",
        *,
        access: Access | None = None,
        fresh_for: float = FRESH_FOR,
        keep_searches: float = 0.0,
    ) -> None:
        keeper = SearchKeeper(keep_searches)
        if isinstance(client, Engine):
            self.engine = client
        elif isinstance(client, str):
            self.engine = connect(client, access)
        else:
            self.engine = engine_of(client)
        self.core = Core(self.engine.calls, fresh_for, keeper)

    def search(self, *, index: str, body: Mapping[str, Any]) -> Body:
        """Rewrite a body and send it; a body without clauses is sent as it is.

        Each clause means the k nearest of what everything around it lets through. Where one
        request cannot say that, they are asked for first.

        Raises:
            ClauseError: a clause that cannot be read, or stands where it cannot be rewritten.
            NotFoundError: an index or document that is not there.
            EmbeddingError: a vector that cannot be searched for.
            EngineError: the server failed or refused.
        """
        return self.engine.run(self.core.search(index, body))

    def msearch(self, *, index: str, bodies: Sequence[Mapping[str, Any]]) -> list[Body]:
        """Several searches as `search` does them, in fewer round trips: answers in their order.

        Raises:
            ClauseError, NotFoundError, EmbeddingError, EngineError: of the first that fails.
        """
        return self.engine.run(self.core.msearch(index, bodies))

    def run(self, query: str, /, **parameters: Any) -> Body:
        """The answer of a named query, as `search` gives it.

        >>> meta4.run("like", word="berlin", k=5)

        Args:
            query: `name@version`, or `name` for its newest; see: meta4 query list.
            parameters: as the definition declares them.

        Raises:
            NotFoundError: no such query, or no index of the name in it.
            InputError: a parameter that there is not, that is missing or of another type.
            EngineError: the server failed or refused.
        """
        return self.engine.run(run_named(self.engine.calls, self.core, query, parameters))

    def rewrite(self, *, index: str, body: Mapping[str, Any]) -> Body:
        """The body that `search` would send last, for those who send it themselves.

        Where a clause's documents must be known first, they are asked for, and stand in it by their
        ids. Where one request does, the rest is left to them: a short page is not asked for again,
        `hits.total` counts what was found on the way, and ties at the end of a page are left.
        """
        return self.engine.run(self.core.rewrite(index, body))

    def explain(self, *, index: str, body: Mapping[str, Any]) -> Body:
        """What `search` would do and why.

        Returns:
            A dict with the index's model and plan, for each clause the buckets probed, the
            documents looked into (counted by the server), the promised recall and why, and the
            final body.
        """
        return self.engine.run(self.core.explain(index, body))

    def load(self, *, index: str, documents: Iterable[Document]) -> LoadReport:
        """Hash documents here and index them in bulk, with back-off; their sources stay as given.

        Refused documents are in the report, with reasons; see `load_documents`.
        """
        return self.engine.run(self.core.load(index, documents))

    def actions(self, *, index: str, documents: Iterable[Document]) -> Iterator[Body]:
        """Hashed documents as actions for the client's own `helpers.bulk`.

        Send them with `pipeline="_none"`: they are hashed already, and so scaled where the engine
        wants it. The documents given are not changed.

        Raises:
            EmbeddingError: a document whose vector cannot be hashed.
        """
        hasher = self.engine.run(self.core.hasher(index))
        stream = checked(documents)
        while batch := list(islice(stream, _BATCH)):
            hashed = hasher.hash(batch)
            if hashed.refusals:
                first = hashed.refusals[0]
                raise EmbeddingError(f"document {first.id!r}: {first.reason}")
            for document in hashed.documents:
                action: Body = {"_index": index, "_source": document.source}
                yield action if document.id is None else action | {"_id": document.id}

    def duplicates(
        self,
        *,
        index: str,
        min_cosine: float,
        field: str | None = None,
        recall: float = 0.99,
        progress: Progress = no_progress,
    ) -> Duplicates:
        """All pairs of an index's documents that are at least so similar, each once.

        >>> for a, b, cosine in meta4.duplicates(index="words", min_cosine=0.95):
        ...     print(a, b, cosine)

        The index is read whole, as it is now, its vectors into temporary files, two to three times
        their size. Which share of all pairs is found is measured: `Duplicates.recall`.

        Args:
            index: one index, or an alias of one.
            min_cosine: above 0, 1 at most.
            field: the hashed field, where the index has several.
            recall: the share of all pairs to find; 1 compares every document with every other.
            progress: called with (stage, done, total).

        Raises:
            InputError: a field of texts, several indexes, a cosine or a recall that cannot be.
            NotFoundError: no such index, or not a hashed one, or no such field.
            EngineError: the server failed or refused.
        """
        known = self.engine.run(self.core.catalog.get(index))
        hashed = known.field(field)
        if len(known.concrete) != 1:
            names = ", ".join(sorted(known.concrete))
            raise InputError(f"{index!r} names {names}; look for duplicates in one index at a time")
        return hashed.duplicates(self.engine, index, min_cosine, recall, progress)

    def plan(
        self, *, index: str, body: Mapping[str, Any], exact: bool = False
    ) -> tuple[Body, list[Planned]]:
        """The rewritten body and the plan of each clause; `exact` looks everywhere."""
        return self.engine.run(self.core.plan(index, body, exact=exact))

    def forget(self, index: str) -> None:
        """Read what is known of an index anew at the next request."""
        self.core.catalog.forget(index)
