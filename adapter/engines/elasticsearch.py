"""Elasticsearch, through elasticsearch-py 8 or 9."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from elastic_transport import ConnectionTimeout, TlsError, TransportError
from elasticsearch import ApiError, Elasticsearch, UnsupportedProductError

from ...errors import RefusedError
from ...mappings.elasticsearch import ElasticsearchDialect
from .access import Access
from .engine import KEEP_ALIVE, TIMEOUT, Engine, Json, release, to_json
from .faults import cut_off, foreign, hosts_of, redacted, refusal, unreachable, untrusted

_OLDEST = (8, 15)
_NOBODY = Access()
_VECTORS_LEFT_OUT = (9, 2)
_SCRIPTS = frozenset({"lang-painless", "ingest-common"})
#: What servers of 8.x and 9.x both take, whichever client sends it.
_JSON = "application/vnd.elasticsearch+json; compatible-with=8"
_NDJSON = "application/vnd.elasticsearch+x-ndjson; compatible-with=8"


class ElasticsearchEngine(Engine):
    """See `Engine`."""

    def __init__(self, client: Elasticsearch, url: str) -> None:
        self._client = client
        self.url = url
        self.dialect = ElasticsearchDialect()
        self._leaves_vectors_out: bool | None = None

    @classmethod
    def at(cls, url: str, access: Access = _NOBODY) -> "ElasticsearchEngine":
        """A client for a URL, or several; nothing is sent yet. Certificates are verified."""
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
        client = Elasticsearch(hosts, request_timeout=TIMEOUT, max_retries=retries, **options)
        return cls(client, redacted(url))

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def version(self) -> str:
        """See `Engine`. Not by `GET /`, which a server without its modules does not answer."""
        (node,) = self.request("GET", "/_nodes/_local/plugins")["nodes"].values()
        return str(node["version"])

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

    def vectors_in_source(self) -> Json:
        """See `Engine`: 9.2 began to leave them out."""
        if self._leaves_vectors_out is None:
            self._leaves_vectors_out = release(self.version()) >= _VECTORS_LEFT_OUT
        return {"_source_exclude_vectors": "false"} if self._leaves_vectors_out else {}

    def request(self, method: str, path: str, body: Any = None, params: Json | None = None) -> Any:
        """Any call, by its path; bytes are NDJSON."""
        headers = {"accept": _JSON}
        data = body
        if body is not None:
            headers["content-type"] = _NDJSON if isinstance(body, bytes) else _JSON
            if not isinstance(body, bytes):
                data = to_json(body)
        try:
            answer = self._client.perform_request(
                method, path, params=params, headers=headers, body=data
            )
        except UnsupportedProductError as error:
            raise foreign(self.url) from error
        except ApiError as error:
            raise refusal(self.url, error.status_code, error.body) from error
        except TlsError as error:
            raise untrusted(self.url, error) from error
        except TransportError as error:
            timed_out = isinstance(error, ConnectionTimeout)
            raise unreachable(self.url, timed_out=timed_out) from error
        if answer.body is None or answer.body == "":
            raise cut_off(self.url)
        return answer.body
