"""What meta4 asks of a cluster, in the calls that both engines have, by a client that waits."""

import time
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, TypeVar

from ...errors import Meta4Error, NotFoundError
from ...mappings.dialect import Dialect
from .calls import Call, Calls, Pause, Step, Steps
from .joint import all_well, joined

Json = dict[str, Any]
T = TypeVar("T")
#: Seconds.
TIMEOUT = 120
#: Kept open to each node, for as many requests at once. The clients' own numbers (1 and 10) let
#: threads connect anew for each request, and asynchronous requests wait out of their order.
CONNECTIONS = 64
#: For how long a server keeps a scroll or a point in time that is not asked for.
KEEP_ALIVE = "5m"


class Engine(ABC):
    """One cluster. Every method raises meta4's errors only.

    Attributes:
        url: where, without a password.
        calls: what is asked of it.
        dialect: how it writes mappings and vector queries.
    """

    calls: Calls

    @property
    def url(self) -> str:
        """Where, without a password."""
        return self.calls.url

    @property
    def dialect(self) -> Dialect:
        """How it writes mappings and vector queries."""
        return self.calls.dialect

    def run(self, steps: Steps[T]) -> T:
        """Do what is yielded, one thing after the other; gives what is returned."""
        try:
            step = next(steps)
            while True:
                try:
                    answer = self._do(step)
                except Meta4Error as error:
                    step = steps.throw(error)
                else:
                    step = steps.send(answer)
        except StopIteration as stop:
            result: T = stop.value
            return result
        finally:
            steps.close()

    def _do(self, step: Step) -> Any:
        if isinstance(step, Call):
            return self.request(step.method, step.path, step.body, step.params)
        if isinstance(step, Pause):
            return time.sleep(step.seconds)
        return step.function(self)

    @abstractmethod
    def request(self, method: str, path: str, body: Any = None, params: Json | None = None) -> Any:
        """Any call, by its path; bytes are NDJSON."""

    @abstractmethod
    def check_usable(self, *, scripts: bool) -> None:
        """Refuse a server on which no such index can be made.

        Args:
            scripts: whether the index needs them: to hash on the server, or to rerank.

        Raises:
            RefusedError: what is missing, and how to come by it.
        """

    @abstractmethod
    def has_scripts(self) -> bool:
        """Whether the server runs scripts, in searches and in pipelines."""

    @abstractmethod
    def point_in_time(self, index: str, shard: str) -> AbstractContextManager[Json]:
        """A shard as it is now, for as long as the context: what a search's `pit` takes."""

    def vectors_in_source(self) -> Json:
        """Parameters with which a request's `_source` holds vectors."""
        return self.run(self.calls.vectors_in_source())

    @abstractmethod
    def close(self) -> None:
        """Close the connections."""

    def version(self) -> str:
        """The server's version number."""
        return self.run(self.calls.version())

    def create_index(self, index: str, body: Json) -> None:
        """Create an index."""
        self.request("PUT", f"/{index}", body=body)

    def delete_index(self, index: str) -> None:
        """Delete an index; no error where there is none."""
        self.request("DELETE", f"/{index}", params={"ignore_unavailable": "true"})

    def index_exists(self, index: str) -> bool:
        """Whether there is an index (or alias) of that name."""
        try:
            self.mappings(index)
        except NotFoundError:
            return False
        return True

    def mappings(self, pattern: str) -> dict[str, Json]:
        """See `Calls`."""
        return self.run(self.calls.mappings(pattern))

    def put_meta(self, index: str, meta: Json) -> None:
        """Set these entries of the mappings' `_meta`; what others wrote there stays."""
        for name, mapping in self.mappings(index).items():
            whole = {**mapping.get("_meta", {}), **meta}
            self.request("PUT", f"/{name}/_mapping", body={"_meta": whole})

    def put_pipeline(self, name: str, body: Json) -> None:
        """Create or replace an ingest pipeline."""
        self.request("PUT", f"/_ingest/pipeline/{name}", body=body)

    def delete_pipeline(self, name: str) -> None:
        """Delete an ingest pipeline; no error where there is none."""
        try:
            self.request("DELETE", f"/_ingest/pipeline/{name}")
        except NotFoundError:
            return

    def refresh(self, index: str) -> None:
        """Make what was written visible to searches."""
        self.request("POST", f"/{index}/_refresh")

    def search(self, index: str, body: Json, params: Json | None = None) -> Json:
        """See `Calls`."""
        return self.run(self.calls.search(index, body, params))

    def msearch(self, index: str, bodies: Sequence[Json]) -> list[Json]:
        """Many searches in one round trip, in their order.

        Raises:
            EngineError: one of them failed.
        """
        runs = [self.calls.search(index, body) for body in bodies]
        return all_well(self.run(joined(self.url, runs)))

    def count(self, index: str, query: Json | None = None, *, shard: str | None = None) -> int:
        """See `Calls`."""
        return self.run(self.calls.count(index, query, shard=shard))

    def sources(
        self, index: str, ids: Sequence[str] | Mapping[str, str | None], field: str | None = None
    ) -> list[Json | None]:
        """See `Calls`."""
        return self.run(self.calls.sources(index, ids, field))

    def mget(
        self, index: str, routing: Mapping[str, str | None], params: Json | None = None
    ) -> list[Json]:
        """See `Calls`."""
        return self.run(self.calls.mget(index, routing, params))

    def bulk(self, index: str, payload: bytes, params: Json | None = None) -> list[Json]:
        """One `_bulk` of NDJSON; the items' results, in order, failed ones too."""
        answer = self.request("POST", f"/{index}/_bulk", body=payload, params=params)
        return [next(iter(item.values())) for item in answer["items"]]

    def scan(self, index: str, body: Json, *, page: int = 1000) -> Iterator[Json]:
        """All hits of a query with their vectors, unordered, by scroll."""
        params = {"scroll": KEEP_ALIVE, **self.vectors_in_source()}
        answer = self.search(index, {**body, "size": page}, params=params)
        try:
            while answer["hits"]["hits"]:
                yield from answer["hits"]["hits"]
                answer = self.request(
                    "POST",
                    "/_search/scroll",
                    body={"scroll": KEEP_ALIVE, "scroll_id": answer["_scroll_id"]},
                )
        finally:
            self.request("DELETE", "/_search/scroll", body={"scroll_id": answer["_scroll_id"]})
