"""Definitions in the cluster: hidden index `meta4-queries`, a document for each version.

No id there is ever free again: a dropped version leaves its number behind, empty. So two who put at
the same time get two versions, and `NAME@2` is one thing for good, or nothing.
"""

import re
from collections.abc import Sequence
from typing import Any, NamedTuple

import orjson

from ...errors import ConflictError, EngineError, InputError, NotFoundError, RefusedError
from ...mappings.spec import check_own_name
from ..engines.calls import Call, Calls, Json, Steps, Work, make_own_index
from ..engines.engine import Engine
from ..engines.faults import root_cause
from .definition import Definition, read_definition

DEFINITIONS_INDEX = "meta4-queries"
_MAPPINGS: Json = {
    "dynamic": "strict",
    "properties": {
        "name": {"type": "keyword"},
        "version": {"type": "integer"},
        "sha256": {"type": "keyword"},
        "index": {"type": "keyword", "index": False, "doc_values": False},
        "parameters": {"type": "keyword", "index": False, "doc_values": False},
        "definition": {"type": "keyword", "index": False, "doc_values": False},
    },
}
#: Bytes of a definition: it is read at each of its runs.
_MOST_BYTES = 1_000_000
#: Versions that others put meanwhile, after which a put is given up.
_TRIES = 20
_PAGE = 1_000
_CONFLICT = 409
_VERSION = re.compile(r"[1-9][0-9]{0,8}")
_WAY_OUT = "see: meta4 query list"


class Kept(NamedTuple):
    """A definition as the cluster has it."""

    name: str
    version: int
    definition: Definition

    def __str__(self) -> str:
        return f"{self.name}@{self.version}"


class Definitions:
    """Definitions by `name@version`.

    Args:
        calls: what is asked of the cluster.
    """

    def __init__(self, calls: Calls) -> None:
        self._calls = calls

    def put(self, name: str, definition: Definition) -> Steps[Kept]:
        """Keep a definition as the next version of `name`; the newest once more changes nothing.

        Raises:
            InputError: a name that cannot be one, or a definition too large.
            ConflictError: others put too many versions meanwhile.
        """
        check_own_name("query", name)
        text = definition.text
        if len(text) > _MOST_BYTES:
            raise InputError(
                f"query {name!r}: expected at most {_MOST_BYTES:,} bytes of JSON, got {len(text):,}"
            )
        try:
            newest = yield from self._find(name)
        except NotFoundError:
            yield from make_own_index(DEFINITIONS_INDEX, _MAPPINGS)
            newest = None
        for _ in range(_TRIES):
            if newest is not None and newest.get("sha256") == definition.sha256:
                return Kept(name, newest["version"], definition)
            version = 1 if newest is None else newest["version"] + 1
            source = {
                "name": name,
                "version": version,
                "sha256": definition.sha256,
                "index": definition.index,
                "parameters": list(definition.parameters),
                "definition": text.decode(),
            }
            try:
                yield Call(
                    "PUT",
                    f"/{DEFINITIONS_INDEX}/_doc/{name}@{version}",
                    source,
                    {"op_type": "create", "refresh": "true"},
                )
                return Kept(name, version, definition)
            except RefusedError as error:
                if error.status != _CONFLICT:
                    raise
            # By its id: a search may not see yet what was put a moment ago.
            taken = yield from self._calls.mget(DEFINITIONS_INDEX, {f"{name}@{version}": None})
            newest = {"version": version, **taken[0].get("_source", {})}
        raise ConflictError(f"query {name!r} is being put by others; put it again")

    def get(self, reference: str) -> Steps[Kept]:
        """A definition by `name@version`, or the newest of `name`.

        Raises:
            NotFoundError: there is none.
            InputError: what is kept cannot be run by this version of meta4.
        """
        name, separator, version = reference.partition("@")
        check_own_name("query", name)
        if separator and _VERSION.fullmatch(version) is None:
            raise InputError(f"query {reference!r}: expected NAME or NAME@VERSION, as in {name}@1")
        try:
            source = yield from self._find(name, int(version) if separator else None)
        except NotFoundError:
            source = None
        if source is None or not source.get("definition"):
            raise _missing(reference)
        kept = f"{name}@{source['version']}"
        text = source["definition"]

        def read(_: Engine) -> Definition:
            return read_definition(text, f"query {kept} as it is kept")

        definition: Definition = yield Work(read)  # some take a third of a second
        return Kept(name, source["version"], definition)

    def list(self) -> Steps[list[Json]]:
        """Of each name its newest version: name, version, sha256, index, parameters' names."""
        newest: dict[str, Json] = {}
        for source in (yield from self._all({"exists": {"field": "name"}})):
            newest[source["name"]] = source
        return [
            {"index": None, "parameters": [], **source}
            for source in newest.values()
            if source.get("sha256")
        ]

    def drop(self, name: str) -> Steps[int]:
        """Empty all versions of a name; gives how many there were.

        Raises:
            NotFoundError: there is none.
        """
        check_own_name("query", name)
        n = 0
        while there := (yield from self._versions(name)):  # somebody may put one meanwhile
            yield from self._empty(name, there)
            n += len(there)
        if not n:
            raise _missing(name)
        return n

    def _versions(self, name: str) -> Steps[Sequence[int]]:
        """Those of a name that are not empty."""
        versions = yield from self._all({"term": {"name": name}})
        return [source["version"] for source in versions if source.get("sha256")]

    def _empty(self, name: str, there: Sequence[int]) -> Steps[None]:
        lines = []
        for version in there:
            lines += [
                {"index": {"_id": f"{name}@{version}"}},
                {"name": name, "version": version},
            ]
        payload = b"".join(orjson.dumps(line) + b"\n" for line in lines)
        answer = yield Call("POST", f"/{DEFINITIONS_INDEX}/_bulk", payload, {"refresh": "true"})
        for item in answer["items"]:
            if "error" in item["index"]:
                raise EngineError(f"query {name!r} is not dropped: {root_cause(item['index'])}")

    def _find(self, name: str, version: int | None = None) -> Steps[Json | None]:
        """What is kept of a version, or of the newest; None where there is nothing."""
        wanted: list[Json] = [{"term": {"name": name}}]
        if version is not None:
            wanted.append({"term": {"version": version}})
        body = {"size": 1, "query": {"bool": {"filter": wanted}}, "sort": [{"version": "desc"}]}
        hits = (yield from self._calls.search(DEFINITIONS_INDEX, body))["hits"]["hits"]
        source: Json | None = hits[0]["_source"] if hits else None
        return source

    def _all(self, query: Json) -> Steps[Sequence[Json]]:
        """All that is kept of what matches, without definitions, by name and version."""
        found: list[Json] = []
        after: Any = None
        while True:
            body = {
                "size": _PAGE,
                "query": query,
                "sort": ["name", "version"],
                "_source": {"excludes": ["definition"]},
                **({} if after is None else {"search_after": after}),
            }
            try:
                hits = (yield from self._calls.search(DEFINITIONS_INDEX, body))["hits"]["hits"]
            except NotFoundError:
                return found
            found += [hit["_source"] for hit in hits]
            if len(hits) < _PAGE:
                return found
            after = hits[-1]["sort"]


def _missing(reference: str) -> NotFoundError:
    return NotFoundError(f"no query is kept as {reference!r}; {_WAY_OUT}")
