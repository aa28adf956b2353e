"""OpenSearch, through opensearch-py."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import orjson
from opensearchpy import OpenSearch, exceptions
from opensearchpy.serializer import JSONSerializer

from ...errors import EngineError, RefusedError
from ...mappings.opensearch import OpenSearchDialect
from .access import Access
from .calls import Call, Calls, Json, Steps, release, to_json
from .engine import CONNECTIONS, KEEP_ALIVE, TIMEOUT, Engine
from .faults import cut_off, foreign, hosts_of, redacted, refusal, unreachable, untrusted, whole

_KNN_PLUGIN = "opensearch-knn"
_OLDEST = (2, 19)
#: Said of a profile where documents are hidden from who asks.
_HIDES = "DLS is activated"
_NOBODY = Access()


class _FastJson(JSONSerializer):
    """orjson: big answers are read several times faster."""

    def loads(self, s: str | bytes) -> Any:
        return orjson.loads(s)


class OpenSearchCalls(Calls):
    """See `Calls`."""

    dialect = OpenSearchDialect()

    def version(self) -> Steps[str]:
        """See `Calls`."""
        answer = yield Call("GET", "/")
        return str(answer["version"]["number"])

    def hides_documents(self, index: str) -> Steps[bool]:
        """See `Calls`: document-level security lets k-NN count what it hides, and no one profile.

        Tried with Security 3.4: https://github.com/opensearch-project/security, "Profiling is not
        supported when DLS is activated".
        """
        body = {"size": 0, "profile": True, "query": {"match_none": {}}}
        try:
            yield Call("POST", f"/{index}/_search", body)
        except EngineError as error:
            if _HIDES in str(error):
                return True
            raise
        return False


class OpenSearchEngine(Engine):
    """See `Engine`."""

    def __init__(self, client: OpenSearch, url: str) -> None:
        self._client = client
        self.calls = OpenSearchCalls(url)

    @classmethod
    def at(cls, url: str, access: Access = _NOBODY) -> "OpenSearchEngine":
        """A client for a URL, or several; nothing is sent yet. Certificates are verified."""
        return cls(OpenSearch(**options_for(url, access)), redacted(url))

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def request(self, method: str, path: str, body: Any = None, params: Json | None = None) -> Any:
        """Any call, by its path; bytes are NDJSON."""
        body = text_of(body)
        with translated(self.url):
            answer = self._client.transport.perform_request(method, path, params=params, body=body)
        return whole(answer, self.url)

    def distribution(self) -> str | None:
        """What the server calls itself; None where it does not, as Elasticsearch."""
        answer = self.request("GET", "/")
        version = answer.get("version") if isinstance(answer, dict) else None
        return version.get("distribution") if isinstance(version, dict) else None

    def check_usable(self, *, scripts: bool) -> None:
        """See `Engine`: too old, or without the k-NN plugin."""
        version = self.version()
        if release(version) < _OLDEST:
            raise RefusedError(
                f"{self.url} is OpenSearch {version}; expected 2.19 or later, "
                f"where a vector field can do without a graph"
            )
        plugins = self.request("GET", "/_cat/plugins", params={"format": "json"})
        if not any(row["component"] == _KNN_PLUGIN for row in plugins):
            raise RefusedError(
                f"{self.url} lacks the k-NN plugin; install '{_KNN_PLUGIN}' of its version on "
                f"every node, or start a node that has it with: meta4 node start"
            )

    @contextmanager
    def point_in_time(self, index: str, shard: str) -> Iterator[Json]:
        """See `Engine`."""
        path = f"/{index}/_search/point_in_time"
        params = {"keep_alive": KEEP_ALIVE, "preference": f"_shards:{shard}"}
        pit = self.request("POST", path, params=params)["pit_id"]
        try:
            yield {"id": pit, "keep_alive": KEEP_ALIVE}
        finally:
            self.request("DELETE", "/_search/point_in_time", {"pit_id": [pit]})

    def has_scripts(self) -> bool:
        """See `Engine`: Painless is part of every distribution."""
        return True


def options_for(url: str, access: Access) -> dict[str, Any]:
    """What a client of opensearch-py is made with."""
    who: dict[str, Any] = {}
    if access.user is not None:
        who["http_auth"] = (access.user, access.password)
    if access.api_key is not None:
        who["headers"] = {"authorization": f"ApiKey {access.api_key}"}
    hosts = hosts_of(url)
    return {
        "hosts": hosts,
        "timeout": TIMEOUT,
        "pool_maxsize": CONNECTIONS,
        "serializer": _FastJson(),
        "max_retries": 2 * (len(hosts) - 1),
        "http_compress": False,
        "verify_certs": True,
        "ca_certs": access.ca_file,
        "client_cert": access.client_cert,
        "client_key": access.client_key,
        **who,
    }


def text_of(body: Any) -> str | None:
    """A body as opensearch-py takes it, which signs and logs bodies as str."""
    if body is None:
        return None
    return (body if isinstance(body, bytes) else to_json(body)).decode()


@contextmanager
def translated(url: str) -> Iterator[None]:
    """Run calls of a client of opensearch-py, raising only meta4's errors."""
    try:
        yield
    except orjson.JSONDecodeError as error:
        raise cut_off(url) from error
    except exceptions.SSLError as error:
        raise untrusted(url, error) from error
    except exceptions.ConnectionError as error:
        raise unreachable(url, timed_out=error.status_code == "TIMEOUT") from error
    except exceptions.SerializationError as error:  # a page for people
        raise foreign(url) from error
    except exceptions.TransportError as error:
        status = error.status_code if isinstance(error.status_code, int) else 500
        raise refusal(url, status, error.info) from error
