"""What meta4 asks of a cluster, in the calls that both engines have."""

import time
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any

import orjson

from ...errors import EngineError, InputError, NotFoundError, RefusedError
from ...mappings.dialect import Dialect
from .faults import refusal

Json = dict[str, Any]
#: Seconds.
TIMEOUT = 120
#: For how long a server keeps a scroll or a point in time that is not asked for.
KEEP_ALIVE = "5m"
#: Without it a server answers 200 although a shard is away, with what the others have.
WHOLE = {"allow_partial_search_results": "false"}
#: Seconds between tries of a question, and after which there is none.
_PAUSES, _SOON = (0.1, 0.3, 1.0), 5.0
#: Of what is wrong with one document of several; a shard may be away too.
_STATUS = {"security_exception": 403, "index_not_found_exception": 404}


class Engine(ABC):
    """One cluster. Every method raises meta4's errors only.

    Attributes:
        url: where, without a password.
        dialect: how it writes mappings and vector queries.
    """

    url: str
    dialect: Dialect

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
        return {}

    @abstractmethod
    def close(self) -> None:
        """Close the connections."""

    @abstractmethod
    def version(self) -> str:
        """The server's version number."""

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
        """Mapping by index name; empty where the pattern matches nothing.

        Raises:
            NotFoundError: a name without wildcards that is no index.
        """
        answer = self.request("GET", f"/{pattern}/_mapping")
        return {name: entry["mappings"] for name, entry in answer.items()}

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
        """One `_search`; an answer without one of the shards is an error."""
        answer: Json = self._ask(f"/{index}/_search", body, {**WHOLE, **(params or {})})
        return answer

    def msearch(self, index: str, bodies: Sequence[Json]) -> list[Json]:
        """Many searches in one round trip, in their order.

        Raises:
            EngineError: one of them failed.
        """
        header = orjson.dumps({"allow_partial_search_results": False}) + b"\n"
        lines = b"".join(header + orjson.dumps(body) + b"\n" for body in bodies)
        answer = self._ask(f"/{index}/_msearch", lines)
        for response in answer["responses"]:
            if "error" in response:
                raise RefusedError(f"{self.url}: {response['error'].get('reason')}")
        responses: list[Json] = answer["responses"]
        return responses

    def count(self, index: str, query: Json | None = None, *, shard: str | None = None) -> int:
        """Number of documents that match, in one shard if one is named."""
        body = None if query is None else {"query": query}
        params = None if shard is None else {"preference": f"_shards:{shard}"}
        return int(self._ask(f"/{index}/_count", body, params)["count"])

    def sources(
        self, index: str, ids: Sequence[str] | Mapping[str, str | None], field: str | None = None
    ) -> list[Json | None]:
        """`_source` of documents by id, cut down to one field if named; None if not there.

        Args:
            index: where.
            ids: which; with what each lies by, as `mget` takes it, where that may not be its id.
            field: a dotted field.
        """
        only = {} if field is None else {"_source_includes": field}
        params = {**only, **self.vectors_in_source()}
        routing = ids if isinstance(ids, Mapping) else dict.fromkeys(ids)
        docs = {doc["_id"]: doc for doc in self.mget(index, routing, params)}
        return [docs[name].get("_source") if docs[name]["found"] else None for name in ids]

    def mget(
        self, index: str, routing: Mapping[str, str | None], params: Json | None = None
    ) -> list[Json]:
        """Documents by id, in their order; each says whether it was `found`.

        Args:
            index: where.
            routing: by id, what it lies by; None where that is its id.
            params: of the request.
        """
        if not routing:
            return []
        wanted = [
            {"_id": name} if by is None else {"_id": name, "routing": by}
            for name, by in routing.items()
        ]
        docs: list[Json] = self._ask(f"/{index}/_mget", {"docs": wanted}, params)["docs"]
        for doc in docs:  # the answer is 200 all the same
            if "error" in doc:
                raise refusal(self.url, _STATUS.get(doc["error"]["type"], 503), doc)
        return docs

    def _ask(self, path: str, body: Any, params: Json | None = None) -> Any:
        """A question, asked again where the server failed soon.

        A node that ends between a search's two phases takes along what it found in the first,
        and the engine looks at no other copy then.
        """
        started = time.monotonic()
        for pause in _PAUSES:
            try:
                return self.request("POST", path, body, params)
            except RefusedError:
                raise
            except EngineError:
                if time.monotonic() - started > _SOON:
                    raise
            time.sleep(pause)
        return self.request("POST", path, body, params)

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


def to_json(body: Any) -> bytes:
    """A body as it is sent: NumPy's arrays in their shortest digits, keys as text.

    Raises:
        InputError: no JSON: whole numbers of more than 64 bits, say, or 255 objects in each other.
    """
    try:
        return orjson.dumps(body, option=orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_NON_STR_KEYS)
    except orjson.JSONEncodeError as error:
        raise InputError(f"the request cannot be written as JSON ({error})") from error


def release(version: str) -> tuple[int, int]:
    """Major and minor of a version number."""
    major, minor = version.split(".")[:2]
    return int(major), int(minor)
