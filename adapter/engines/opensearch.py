"""The OpenSearch client, cut down to what meta4 asks of a cluster."""

from collections.abc import Iterator, Sequence
from typing import Any

import orjson
from opensearchpy import OpenSearch
from opensearchpy.serializer import JSONSerializer

from ...errors import NotFoundError, RefusedError
from ...mappings.dialect import Dialect
from ...mappings.opensearch import OpenSearchDialect
from .faults import translated

Json = dict[str, Any]
#: Seconds; opensearch-py wants a number, not "60s".
_TIMEOUT = 120
_KNN_PLUGIN = "opensearch-knn"
_OLDEST = (2, 19)


class _FastJson(JSONSerializer):
    """orjson: float32 arrays in their shortest digits, big answers several times faster."""

    def dumps(self, data: Any) -> Any:
        if isinstance(data, str | bytes):
            return data
        return orjson.dumps(data, option=orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_NON_STR_KEYS)

    def loads(self, s: str | bytes) -> Any:
        return orjson.loads(s)


class OpenSearchEngine:
    """One cluster. Every method raises meta4's errors only (`translated`)."""

    def __init__(self, client: OpenSearch, url: str) -> None:
        self._client = client
        self.url = url
        self.dialect: Dialect = OpenSearchDialect()

    @classmethod
    def at(cls, url: str) -> "OpenSearchEngine":
        """A client for a URL; nothing is sent yet."""
        client = OpenSearch(
            url, timeout=_TIMEOUT, serializer=_FastJson(), max_retries=0, http_compress=False
        )
        return cls(client, redacted(url))

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def request(self, method: str, path: str, body: Any = None, params: Json | None = None) -> Any:
        """Any other call, by its path."""
        with translated(self.url):
            return self._client.transport.perform_request(method, path, params=params, body=body)

    def version(self) -> str:
        """The server's version number."""
        return str(self.request("GET", "/")["version"]["number"])

    def check_usable(self) -> None:
        """Refuse a server on which no hashed index can be made.

        Raises:
            RefusedError: not OpenSearch, too old, or without the k-NN plugin.
        """
        version = self.request("GET", "/")["version"]
        if version.get("distribution") != "opensearch":
            raise RefusedError(
                f"{self.url} is not OpenSearch (version {version.get('number')}); "
                f"this version of meta4 makes its indexes on OpenSearch 2.19 and later"
            )
        found = tuple(int(part) for part in version["number"].split(".")[:2])
        if found < _OLDEST:
            raise RefusedError(
                f"{self.url} is OpenSearch {version['number']}; expected 2.19 or later, "
                f"where a vector field can do without a graph"
            )
        plugins = self.request("GET", "/_cat/plugins", params={"format": "json"})
        if not any(row["component"] == _KNN_PLUGIN for row in plugins):
            raise RefusedError(
                f"{self.url} lacks the k-NN plugin; install '{_KNN_PLUGIN}' of its version on "
                f"every node, or start a node that has it with: meta4 node start"
            )

    def create_index(self, index: str, body: Json) -> None:
        """Create an index."""
        self.request("PUT", f"/{index}", body=body)

    def delete_index(self, index: str) -> None:
        """Delete an index; no error where there is none."""
        self.request("DELETE", f"/{index}", params={"ignore_unavailable": "true"})

    def index_exists(self, index: str) -> bool:
        """Whether there is an index (or alias) of that name."""
        with translated(self.url):
            return bool(self._client.indices.exists(index=index))

    def mappings(self, pattern: str) -> dict[str, Json]:
        """Mapping by index name; empty where the pattern matches nothing.

        Raises:
            NotFoundError: a name without wildcards that is no index.
        """
        answer = self.request("GET", f"/{pattern}/_mapping")
        return {name: entry["mappings"] for name, entry in answer.items()}

    def put_meta(self, index: str, meta: Json) -> None:
        """Replace the mapping's `_meta`."""
        self.request("PUT", f"/{index}/_mapping", body={"_meta": meta})

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
        """One `_search`."""
        answer: Json = self.request("POST", f"/{index}/_search", body=body, params=params)
        return answer

    def msearch(self, index: str, bodies: Sequence[Json]) -> list[Json]:
        """Many searches in one round trip, in their order.

        Raises:
            EngineError: one of them failed.
        """
        lines = b"".join(b"{}\n" + orjson.dumps(body) + b"\n" for body in bodies)
        answer = self.request("POST", f"/{index}/_msearch", body=lines.decode())
        for response in answer["responses"]:
            if "error" in response:
                raise RefusedError(f"{self.url}: {response['error'].get('reason')}")
        responses: list[Json] = answer["responses"]
        return responses

    def count(self, index: str, query: Json | None = None) -> int:
        """Number of documents that match."""
        body = None if query is None else {"query": query}
        return int(self.request("POST", f"/{index}/_count", body=body)["count"])

    def sources(self, index: str, ids: Sequence[str], field: str) -> list[Json | None]:
        """`_source` of documents by id, cut down to one field; None for those not there."""
        answer = self.request(
            "POST", f"/{index}/_mget", body={"ids": list(ids)}, params={"_source_includes": field}
        )
        return [doc.get("_source") if doc.get("found") else None for doc in answer["docs"]]

    def bulk(self, index: str, payload: bytes, *, pipeline: str | None = None) -> list[Json]:
        """One `_bulk` of NDJSON; the items' results, in order, failed ones too."""
        params = {} if pipeline is None else {"pipeline": pipeline}
        # opensearch-py signs and logs bodies as str.
        answer = self.request("POST", f"/{index}/_bulk", body=payload.decode(), params=params)
        return [next(iter(item.values())) for item in answer["items"]]

    def scan(self, index: str, body: Json, *, page: int = 1000) -> Iterator[Json]:
        """All hits of a query, unordered, by scroll."""
        answer = self.search(index, {**body, "size": page}, params={"scroll": "5m"})
        try:
            while answer["hits"]["hits"]:
                yield from answer["hits"]["hits"]
                answer = self.request(
                    "POST",
                    "/_search/scroll",
                    body={"scroll": "5m", "scroll_id": answer["_scroll_id"]},
                )
        finally:
            self.request("DELETE", "/_search/scroll", body={"scroll_id": answer["_scroll_id"]})


def redacted(url: str) -> str:
    """The URL without its user and password."""
    scheme, separator, rest = url.rpartition("://")
    return f"{scheme}{separator}{rest.rpartition('@')[2]}"
