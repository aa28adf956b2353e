"""Questions to a cluster and what their answers mean, without any I/O.

What takes several steps is a generator: it yields what is to be done (a `Call` to the server, a
`Pause`, or `Work` that blocks), is sent the answer, or has the error thrown in, and returns its
result. Who runs it, with a client that waits or with one that does not, is `Engine` and
`AsyncEngine`; so nothing is written twice.
"""

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, TypeAlias, TypeVar

import orjson

from ...errors import EngineError, InputError, RefusedError
from ...mappings.dialect import Dialect
from .faults import foreign, part_refused

if TYPE_CHECKING:
    from .engine import Engine

Json = dict[str, Any]
T = TypeVar("T")
#: Without it a server answers 200 although a shard is away, with what the others have.
WHOLE = {"allow_partial_search_results": "false"}
#: Seconds between tries of a question, and after which there is none.
_PAUSES, _SOON = (0.1, 0.3, 1.0), 5.0
#: Of a document that is looked for by its id alone, where none lies by that.
_NO_ROUTING = "routing_missing_exception"


@dataclass(frozen=True)
class Call:
    """One request; bytes are NDJSON."""

    method: str
    path: str
    body: Any = None
    params: Json | None = None


@dataclass(frozen=True)
class SearchCall(Call):
    """A `_search` that may share a round trip with others; `body` is its own."""

    index: str = ""


@dataclass(frozen=True)
class DocumentsCall(Call):
    """An `_mget` that may share a round trip with others; `body` has its `docs`."""

    index: str = ""


@dataclass(frozen=True)
class Pause:
    """Wait so many seconds."""

    seconds: float


@dataclass(frozen=True)
class Work:
    """What blocks: done where nothing else has to wait, with an engine that waits."""

    function: "Callable[[Engine], Any]"


Step: TypeAlias = Call | Pause | Work
Steps: TypeAlias = Generator[Step, Any, T]


class Calls(ABC):
    """What is asked of one cluster.

    Attributes:
        dialect: how it writes what is asked.
        is_elastic: whether it is Elasticsearch, for those who would not load its client to know.

    Args:
        url: where, for messages; without a password.
    """

    dialect: Dialect
    is_elastic: ClassVar[bool] = False

    def __init__(self, url: str) -> None:
        self.url = url

    @abstractmethod
    def version(self) -> Steps[str]:
        """The server's version number."""

    def vectors_in_source(self) -> Steps[Json]:
        """Parameters with which a request's `_source` holds vectors."""
        yield from ()
        return {}

    def hides_documents(self, index: str) -> Steps[bool]:
        """Whether the engine's vector query counts documents that who asks may not see."""
        yield from ()
        return False

    def aliases(self, pattern: str) -> Steps[dict[str, Json]]:
        """By index, the aliases that it has, each with what it is besides a name.

        OpenSearch knows none of data streams, and would refuse their names.
        """
        answer = yield Call("GET", f"/{pattern}/_alias", params={"ignore_unavailable": "true"})
        return {name: entry["aliases"] for name, entry in answer.items()}

    def mappings(self, pattern: str) -> Steps[dict[str, Json]]:
        """Mapping by index name; empty where the pattern matches nothing.

        Raises:
            NotFoundError: a name without wildcards that is no index.
        """
        answer = yield Call("GET", f"/{pattern}/_mapping")
        try:
            return {name: entry["mappings"] for name, entry in answer.items()}
        except (AttributeError, KeyError, TypeError) as error:
            raise foreign(self.url) from error

    def search(self, index: str, body: Json, params: Json | None = None) -> Steps[Json]:
        """One `_search`; an answer without one of the shards is an error."""
        path, whole = f"/{index}/_search", {**WHOLE, **(params or {})}
        call: Call = Call("POST", path, body, whole)
        if not params:
            call = SearchCall("POST", path, body, whole, index)
        answer: Json = yield from self._ask(call)
        return answer

    def count(
        self, index: str, query: Json | None = None, *, shard: str | None = None
    ) -> Steps[int]:
        """Number of documents that match, in one shard if one is named."""
        body = None if query is None else {"query": query}
        params = None if shard is None else {"preference": f"_shards:{shard}"}
        answer = yield from self._ask(Call("POST", f"/{index}/_count", body, params))
        return int(answer["count"])

    def sources(
        self, index: str, ids: Sequence[str] | Mapping[str, str | None], field: str | None = None
    ) -> Steps[list[Json | None]]:
        """`_source` of documents by id, cut down to one field if named; None if not there.

        Args:
            index: where.
            ids: which; with what each lies by, as `mget` takes it, where that may not be its id.
            field: a dotted field.
        """
        only = {} if field is None else {"_source_includes": field}
        params = {**only, **(yield from self.vectors_in_source())}
        routing = ids if isinstance(ids, Mapping) else dict.fromkeys(ids)
        docs = {doc["_id"]: doc for doc in (yield from self.mget(index, routing, params))}
        return [docs[name].get("_source") if docs[name]["found"] else None for name in ids]

    def mget(
        self, index: str, routing: Mapping[str, str | None], params: Json | None = None
    ) -> Steps[list[Json]]:
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
        call = DocumentsCall("POST", f"/{index}/_mget", {"docs": wanted}, params, index)
        docs: list[Json] = (yield from self._ask(call))["docs"]
        for doc in docs:  # the answer is 200 all the same
            if "error" in doc and doc["error"].get("type") != _NO_ROUTING:
                raise part_refused(self.url, doc)
            doc.setdefault("found", False)
        return docs

    def _ask(self, call: Call) -> Steps[Any]:
        """A question, asked again where the server failed soon.

        A node that ends between a search's two phases takes along what it found in the first,
        and the engine looks at no other copy then.
        """
        started = time.monotonic()
        for pause in _PAUSES:
            try:
                return (yield call)
            except RefusedError:
                raise
            except EngineError:
                if time.monotonic() - started > _SOON:
                    raise
            yield Pause(pause)
        return (yield call)


def make_own_index(index: str, mappings: Json) -> Steps[None]:
    """An index beside those of users: hidden, with a replica wherever there is a second node.

    Nothing where there is one of that name.
    """
    own = {"hidden": True, "number_of_shards": 1, "auto_expand_replicas": "0-1"}
    try:
        yield Call("PUT", f"/{index}", {"settings": {"index": own}, "mappings": mappings})
    except RefusedError as error:
        if "already exists" not in str(error):
            raise


def to_json(body: Any) -> bytes:
    """A body as it is sent: NumPy's arrays in their shortest digits, keys as text.

    Raises:
        InputError: no JSON: whole numbers of more than 64 bits, say, or 255 objects in each other.
    """
    try:
        return orjson.dumps(body, option=orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_NON_STR_KEYS)
    except orjson.JSONEncodeError as error:
        raise InputError(f"the request cannot be written as JSON ({error})") from error


def plain(body: Json) -> Json:
    """A body as whoever reads its JSON has it: lists in place of arrays.

    Raises:
        InputError: see `to_json`.
    """
    same: Json = orjson.loads(to_json(body))
    return same


def release(version: str) -> tuple[int, int]:
    """Major and minor of a version number."""
    major, minor = version.split(".")[:2]
    return int(major), int(minor)
