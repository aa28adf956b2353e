"""Elasticsearch, through elasticsearch-py 8 or 9."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from elastic_transport import ConnectionTimeout, TlsError, TransportError
from elasticsearch import ApiError, Elasticsearch, UnsupportedProductError

from ...errors import RefusedError
from ...mappings.elasticsearch import ElasticsearchDialect
from .access import Access
from .calls import Call, Calls, Json, Steps, release, to_json
from .engine import CONNECTIONS, KEEP_ALIVE, TIMEOUT, Engine
from .faults import foreign, hosts_of, redacted, refusal, unreachable, untrusted, whole

_OLDEST = (8, 15)
_NOBODY = Access()
_VECTORS_LEFT_OUT = (9, 2)
_SCRIPTS = frozenset({"lang-painless", "ingest-common"})
#: What servers of 8.x and 9.x both take, whichever client sends it.
_JSON = "application/vnd.elasticsearch+json; compatible-with=8"
_NDJSON = "application/vnd.elasticsearch+x-ndjson; compatible-with=8"


class ElasticsearchCalls(Calls):
    """See `Calls`."""

    dialect = ElasticsearchDialect()
    is_elastic = True

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self._leaves_vectors_out: bool | None = None

    def version(self) -> Steps[str]:
        """See `Calls`. Not by `GET /`, which a server without its modules does not answer."""
        answer = yield Call("GET", "/_nodes/_local/plugins")
        (node,) = answer["nodes"].values()
        return str(node["version"])

    def vectors_in_source(self) -> Steps[Json]:
        """See `Calls`: 9.2 began to leave them out."""
        if self._leaves_vectors_out is None:
            version = yield from self.version()
            self._leaves_vectors_out = release(version) >= _VECTORS_LEFT_OUT
        return {"_source_exclude_vectors": "false"} if self._leaves_vectors_out else {}


class ElasticsearchEngine(Engine):
    """See `Engine`."""

    def __init__(self, client: Elasticsearch, url: str) -> None:
        self._client = client
        self.calls = ElasticsearchCalls(url)

    @classmethod
    def at(cls, url: str, access: Access = _NOBODY) -> "ElasticsearchEngine":
        """A client for a URL, or several; nothing is sent yet. Certificates are verified."""
        return cls(Elasticsearch(**options_for(url, access)), redacted(url))

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def check_usable(self, *, scripts: bool) -> None:
        """See `Engine`: too old, or without the modules that scripts need."""
        version = self.version()
        if release(version) < _OLDEST:
            raise RefusedError(
                f"{self.url} is Elasticsearch {version}; expected 8.15 or later, where a vector "
                f"field can do without a graph"
            )
        if scripts and not self.has_scripts():
            raise RefusedError(
                f"{self.url} runs no scripts (that takes {' and '.join(sorted(_SCRIPTS))}); "
                f"what works there is --strategy native with --hashing client"
            )

    def has_scripts(self) -> bool:
        """See `Engine`: Painless, and the processor that runs it on documents."""
        nodes = self.request("GET", "/_nodes/plugins")["nodes"].values()
        return all({module["name"] for module in node["modules"]} >= _SCRIPTS for node in nodes)

    @contextmanager
    def point_in_time(self, index: str, shard: str) -> Iterator[Json]:
        """See `Engine`."""
        params = {"keep_alive": KEEP_ALIVE, "preference": f"_shards:{shard}"}
        pit = self.request("POST", f"/{index}/_pit", params=params)["id"]
        try:
            yield {"id": pit, "keep_alive": KEEP_ALIVE}
        finally:
            self.request("DELETE", "/_pit", {"id": pit})

    def request(self, method: str, path: str, body: Any = None, params: Json | None = None) -> Any:
        """Any call, by its path; bytes are NDJSON."""
        headers, data = message(body)
        with translated(self.url):
            answer = self._client.perform_request(
                method, path, params=params, headers=headers, body=data
            )
        return whole(answer.body, self.url)


def options_for(url: str, access: Access) -> dict[str, Any]:
    """What a client of elasticsearch-py is made with."""
    options: dict[str, Any] = {}
    if access.user is not None:
        options["basic_auth"] = (access.user, access.password)
    if access.api_key is not None:
        options["api_key"] = access.api_key
    if url.startswith("https:"):  # the client takes these for nothing else
        options |= {
            "verify_certs": True,
            "ca_certs": access.ca_file,
            "client_cert": access.client_cert,
            "client_key": access.client_key,
        }
        options = {name: value for name, value in options.items() if value is not None}
    hosts = hosts_of(url)
    retries = 2 * (len(hosts) - 1)
    return {
        "hosts": hosts,
        "request_timeout": TIMEOUT,
        "connections_per_node": CONNECTIONS,
        "max_retries": retries,
        **options,
    }


def message(body: Any) -> tuple[dict[str, str], bytes | None]:
    """Headers and body of a request."""
    headers = {"accept": _JSON}
    if body is None:
        return headers, None
    if isinstance(body, bytes):
        return headers | {"content-type": _NDJSON}, body
    return headers | {"content-type": _JSON}, to_json(body)


@contextmanager
def translated(url: str) -> Iterator[None]:
    """Run calls of a client of elasticsearch-py, raising only meta4's errors."""
    try:
        yield
    except UnsupportedProductError as error:
        raise foreign(url) from error
    except ApiError as error:
        raise refusal(url, error.status_code, error.body) from error
    except TlsError as error:
        raise untrusted(url, error) from error
    except TransportError as error:
        timed_out = isinstance(error, ConnectionTimeout)
        raise unreachable(url, timed_out=timed_out) from error
