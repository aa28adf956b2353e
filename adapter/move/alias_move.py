"""An alias from one index to another, while both queries and writes go on.

The target is filled with the source's documents and follows what is written there. Then the alias
is moved in one step: from there on queries and writes meet the target. Writes wait there until what
reached the source in the last moment is brought after it: else a change could come after a deletion
that a client sent later. Everything is noted in the target's `_meta`, so that the same call goes on
after an end at any moment; where writes were let go on too early by such an end, a document that
somebody has written in the target is newer and stays.
"""

import time
from collections.abc import Callable, Iterator
from typing import Any

from ...errors import ConflictError, EngineError
from ...ingest.bulk import to_deletion
from ...ingest.documents import Document
from ...ingest.hashers import Hasher
from ...ingest.id_table import IdTable
from ..engines.engine import Engine
from ..engines.names import check_index
from ..engines.place import Place, settings_of
from ..fields.field import Field
from ..fields.succession import Change
from ..load.bulk_sender import BulkSender
from ..load.loader import HASHED, LoadReport, load_documents
from ..manage.move_state import STATE, Reached, State, free_settings, state_of
from .changes import count_after, count_upto, pages_after, processed_by
from .new_embeddings import check_covered
from .write_hold import AT_ONCE, writes_held

Json = dict[str, Any]
#: Passes after this one that bring no more documents than this leave little for the last moment.
_FEW = 50
#: Passes, where writes outrun them.
_PASSES = 20
#: Seconds between two notes of how far it is, and between two looks for late writes.
_NOTED_EVERY, _LATE = 5.0, 1.0


class Move:
    """One alias on its way.

    Args:
        engine: where.
        alias: what is moved.
        source: the index that it names.
        target: the index that it will name, which exists.
        fields: the hashed field in the source and in the target.
        hasher: of the target.
        change: what becomes of a document before it is hashed.
        reached: by shard of the source, what the target has already.
        back: whether the alias goes back to where it was.
        re_embedded: whether the target's documents have embeddings of another kind.
    """

    def __init__(
        self,
        engine: Engine,
        alias: str,
        source: str,
        target: str,
        fields: tuple[Field, Field],
        hasher: Hasher,
        *,
        change: Change,
        reached: Reached | None = None,
        back: bool = False,
        re_embedded: bool = False,
    ) -> None:
        self._engine = engine
        self._source = Place(engine, source)
        self._target = Place(engine, target)
        self._before, self._after = fields
        self._hasher = hasher
        self._change = change
        uuid = str(settings_of(self._source)["uuid"])
        noted = state_of(engine, target)
        if noted is not None and noted.is_under_way and (noted.alias, noted.uuid) == (alias, uuid):
            self.state = noted
        else:
            self.state = State(
                alias,
                source,
                uuid,
                "filling",
                dict(reached or {}),
                {},
                back,
                re_embedded=re_embedded,
            )
        self._late: dict[str, tuple[int, int]] = {}
        self.report = LoadReport()
        self.n_deleted = 0
        self.aliases: list[str] = []

    def check_covered(self) -> None:
        """See, before anything is written, that no document loses its value.

        Raises:
            ConflictError: some have no new one.
        """
        if self.state.phase == "filling":
            check_covered(self._source, self.state.reached, self._before, self._change)

    def fill(self, filling: Callable[[int, int], None]) -> None:
        """Bring what the target lacks, until next to nothing is left, and drop what it has over.

        Args:
            filling: called with documents brought since the last call, and how many there are.

        Raises:
            ConflictError: a document that was written meanwhile has no new value.
            EngineError: the target lacks documents, or values of theirs.
        """
        left = count_after(self._source, self.state.reached)
        filling(0, left)
        if self.state.phase != "filling":
            return

        def advance(n: int) -> None:
            filling(n, left)

        self._note()
        self._follow(advance)
        self._drop_missing()
        self._follow(advance)
        self._check_whole()

    def switch(self) -> None:
        """Move the alias, then bring what came to the source in the last moment.

        Raises:
            ConflictError, EngineError: as `fill`; the alias stays.
        """
        if self.state.phase == "filling":
            self._follow(lambda _: None)
            self._check_whole()
            self.state.since = processed_by(self._target)
            self.state.free = free_settings(self._target)
            self.state.phase = "moving"
            self._note()
        if self.state.free is not None:
            with writes_held(self._target, self.state.free):
                self._cross()
            self.state.free = None
            self._note()
        if self.state.phase == "late":
            self._drop_missing()
            self.state.phase = "done"
            self._note()

    def _cross(self) -> None:
        """The alias, and then all that it left behind."""
        if self.state.phase == "moving":
            if behind(self._engine, self.state.alias) != self._target.index:
                self._move_alias()
            self.state.phase = "late"
            self._note()
        while self._bring_late():
            time.sleep(_LATE)  # for writes that were under way when the alias moved

    def _note(self) -> None:
        self._engine.put_meta(self._target.index, {STATE: vars(self.state)})

    def _move_alias(self) -> None:
        """The alias, and all others of the source with it: all in one step, as they were."""
        (found,) = self._engine.request("GET", f"/{self._source.index}/_alias").values()
        actions = []
        for alias, kept in found["aliases"].items():  # with filter, routing and the like
            actions += [
                {"remove": {"index": self._source.index, "alias": alias}},
                {"add": {"index": self._target.index, "alias": alias, **kept}},
            ]
        self.aliases = sorted(found["aliases"])
        self._engine.refresh(self._target.index)
        self._engine.request("POST", "/_aliases", {"actions": actions})

    def _follow(self, advance: Callable[[int], None]) -> None:
        for _ in range(_PASSES):
            n = 0
            noted_at = time.monotonic()
            for shard, hits in self._pages():
                documents = [Document.of(hit) for hit in hits]
                self._change(documents)
                self._load(documents, advance)
                self.state.reached[shard] = hits[-1]["sort"][0]
                n += len(hits)
                if time.monotonic() - noted_at > _NOTED_EVERY:
                    self._note()
                    noted_at = time.monotonic()
            self._note()
            if n <= _FEW:
                return

    def _pages(self) -> Iterator[tuple[str, list[Json]]]:
        return pages_after(self._source, self.state.reached, field=self._before.scored)

    def _load(self, documents: list[Document], advance: Callable[[int], None]) -> None:
        target = self._target
        loaded = load_documents(
            self._engine, target.index, documents, self._hasher, params=AT_ONCE, advance=advance
        )
        self.report.add(loaded)

    def _check_whole(self) -> None:
        """Refuse to go on where the target lacks something.

        Raises:
            EngineError: documents were refused, in this run or in one before, or have lost their
                values.
        """
        self._engine.refresh(self._target.index)
        self._engine.refresh(self._source.index)
        n_source = count_upto(self._source, self.state.reached)
        n_target = self._engine.count(self._target.index)
        if n_target < n_source:
            why = "".join(
                f"; the first refused is {refusal.id!r}: {refusal.reason}"
                for refusal in self.report.refusals[:1]
            )
            raise EngineError(
                f"{self._target.index} lacks {n_source - n_target:,} documents of "
                f"{self._source.index}; {self.state.alias} stays where it is{why}"
            )
        before, after = self._before, self._after
        n_source = count_upto(self._source, self.state.reached, before.scored)
        n_target = self._engine.count(self._target.index, {"exists": {"field": after.scored}})
        if n_target < n_source:
            raise EngineError(
                f"{self._target.index} has {n_target:,} {after.value_name}s and "
                f"{self._source.index} {n_source:,}; {self.state.alias} stays where it is. Drop "
                f"it and begin anew: meta4 index drop {self._target.index}"
            )

    def _bring_late(self) -> int:
        """What reached the source after the last pass; gives how many there were."""
        n = 0
        for shard, hits in self._pages():
            there = self._there({hit["_id"]: hit.get("_routing") for hit in hits})
            newer = self._written_since()
            documents = [
                Document.of(hit, only_if=there.get(hit["_id"], "absent"))
                for hit in hits
                if hit["_id"] not in newer or self._late.get(hit["_id"]) == there.get(hit["_id"])
            ]
            self._change(documents, late=True)
            self._load(documents, lambda _: None)
            self._late |= self._there({str(d.id): d.routing for d in documents})
            self.state.reached[shard] = hits[-1]["sort"][0]
            n += len(hits)
        self._note()
        return n

    def _written_since(self) -> set[str]:
        """Ids that others have written in the target."""
        pages = pages_after(self._target, self.state.since, source=False)
        return {hit["_id"] for _, hits in pages for hit in hits}

    def _there(self, routing: dict[str, str | None]) -> dict[str, tuple[int, int]]:
        """What the target has of these documents: their numbers and terms."""
        docs = self._engine.mget(self._target.index, routing, {"_source": "false"})
        return {doc["_id"]: (doc["_seq_no"], doc["_primary_term"]) for doc in docs if doc["found"]}

    def _drop_missing(self) -> None:
        """Delete what the source has no more; what others wrote in the target stays."""
        last = self.state.since if self.state.phase == "late" else None
        with (
            IdTable() as ids,
            BulkSender(self._engine, self._target.index, HASHED) as sender,
        ):
            for _, hits in pages_after(self._source, {}, source=False):
                ids.put((_identity(hit), b"") for hit in hits)
            for _, hits in pages_after(self._target, {}, last=last, source=False):
                known = ids.get([_identity(hit) for hit in hits])
                deletions = [
                    to_deletion(Document.of(hit, only_if=(hit["_seq_no"], hit["_primary_term"])))
                    for hit in hits
                    if _identity(hit) not in known
                ]
                if deletions:
                    self.n_deleted += sender.send(deletions).result().n_indexed


def _identity(hit: Json) -> str:
    """What no other document has: by another routing there may be another of the same id."""
    return f"{hit.get('_routing', '')}\0{hit['_id']}"


def behind(engine: Engine, alias: str) -> str:
    """The one index that an alias names.

    Raises:
        NotFoundError: no index and no alias of that name.
        ConflictError: an index itself, or an alias of several.
    """
    (name, *others) = engine.mappings(check_index(alias))
    if others:
        raise ConflictError(f"{alias!r} names {1 + len(others)} indexes; expected an alias of one")
    if name == alias:
        raise ConflictError(
            f"{alias!r} is an index itself, and only an alias can be moved in one step; make one "
            f"with: meta4 index alias NAME {alias}; and let clients use it"
        )
    return str(name)
