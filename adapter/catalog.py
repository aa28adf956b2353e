"""What is known of the cluster's hashed indexes: one reading of a mapping gives their fields."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from functools import partial

from ..errors import ConflictError, NotFoundError
from ..ingest.hashers import Hasher, HasherChain
from ..mappings.spec import FieldSpec, entries_in
from .engines.calls import Calls, Json, Steps
from .engines.engine import Engine
from .engines.names import check_index
from .fields.field import Field
from .fields.kinds import fields_in
from .fields.scope import Scope, alias_filter
from .fields.shelf import FRESH_FOR, Key, Shelf

#: What a data stream's indexes begin with; the last one is written to.
_OF_STREAMS = ".ds-"


@dataclass(frozen=True)
class HashedIndex:
    """One index as a request sees it.

    Attributes:
        name: as it was asked for; may be an alias or a pattern.
        concrete: the indexes that it names.
        fields: its hashed fields, by their names.
    """

    name: str
    concrete: frozenset[str]
    fields: Mapping[str, Field]

    @property
    def is_itself(self) -> bool:
        """Whether it is one index by its own name, and no alias or pattern that may move."""
        return self.concrete == {self.name}

    def field(self, name: str | None = None) -> Field:
        """The field of a name; the only one, where none is named.

        Raises:
            NotFoundError: no such field is hashed.
            ConflictError: none is named, and there are several.
        """
        if name is None and len(self.fields) == 1:
            (only,) = self.fields.values()
            return only
        names = ", ".join(repr(each) for each in self.fields)
        if name is None:
            raise ConflictError(f"index {self.name!r} has the hashed fields {names}; name one")
        if name not in self.fields:
            raise NotFoundError(
                f"field {name!r} is not hashed in index {self.name!r}; its hashed field is {names}"
            )
        return self.fields[name]


class Catalog:
    """Reads and remembers; nothing here is written.

    Args:
        calls: what is asked of the cluster.
        fresh_for: seconds until what can change is read again.
    """

    def __init__(self, calls: Calls, *, fresh_for: float = FRESH_FOR) -> None:
        self._calls = calls
        self._shelf = Shelf(fresh_for)

    def get(self, index: str) -> Steps[HashedIndex]:
        """The index, as fresh.

        Raises:
            NotFoundError: no such index, or not a hashed one.
            ConflictError: a pattern whose indexes have different specs.
        """
        check_index(index, pattern=True)
        read = partial(_read, self._calls, index, self._shelf, to_search=True)
        return (yield from self._shelf.take(_key(index), read))

    def written_to(self, index: str) -> Steps[HashedIndex]:
        """The one index that documents written to a name go into, as fresh.

        Raises:
            NotFoundError: there is none, or it is not a hashed one.
            ConflictError: it was written by a version this one cannot read.
        """
        check_index(index)
        key = ("written to", index, None)
        return (yield from self._shelf.take(key, partial(self._written_to, index)))

    def _written_to(self, index: str) -> Steps[HashedIndex]:
        mappings = yield from self._calls.mappings(index)
        names = list(mappings)
        if len(names) > 1:
            aliases = yield from self._calls.aliases(index)
            names = [
                name for name, own in aliases.items() if own.get(index, {}).get("is_write_index")
            ]
            if not names and all(name.startswith(_OF_STREAMS) for name in mappings):
                names = [max(mappings)]
        if len(names) != 1:
            raise NotFoundError(f"{index!r} names no one index that documents are written to")
        (name,) = names
        return HashedIndex(
            index, frozenset(names), fields_in(mappings[name], name, self._calls, self._shelf)
        )

    def having(self, fields: Collection[str]) -> Steps[str]:
        """The indexes that have these hashed fields, with commas between.

        Raises:
            NotFoundError: there is none.
        """
        key = ("having", "", tuple(sorted(fields)))
        return (yield from self._shelf.take(key, partial(self._having, fields)))

    def _having(self, fields: Collection[str]) -> Steps[str]:
        found = []
        for name, mapping in (yield from self._calls.mappings("*")).items():
            try:
                entries = entries_in(mapping, name)
            except NotFoundError:
                continue
            if entries.keys() >= set(fields):
                found.append(name)
        if not found:
            raise NotFoundError(
                f"no index has the hashed field {' and '.join(map(repr, sorted(fields)))}; "
                f"see: meta4 index list"
            )
        return ",".join(sorted(found))

    def scope(self, known: HashedIndex) -> Steps[Scope]:
        """What a search of an index may answer with, as fresh."""
        return (yield from self._shelf.take(_scope_key(known.name), partial(self._scope, known)))

    def _scope(self, known: HashedIndex) -> Steps[Scope]:
        kept = yield from self._filter(known)
        hides = yield from self._calls.hides_documents(known.name)
        return Scope(known.name, known.concrete, kept, hides)

    def _filter(self, known: HashedIndex) -> Steps[Json | None]:
        """What aliases let through now."""
        if known.is_itself:
            return None
        aliases = yield from self._calls.aliases(known.name)
        return alias_filter(known.name, known.concrete, aliases)

    def has_moved(self, index: str) -> Steps[bool]:
        """Whether an alias names other indexes, or filters otherwise, than when it was read.

        Then it is forgotten.
        """
        known: HashedIndex | None = self._shelf.peek(_key(index))
        if known is None:
            return False
        scope: Scope | None = self._shelf.peek(_scope_key(index))
        is_there = known.concrete == frozenset((yield from self._calls.mappings(index)))
        if is_there and (scope is None or scope.filter == (yield from self._filter(known))):
            return False
        self.forget(index)
        return True

    def forget(self, index: str) -> None:
        """Read the index anew at the next request."""
        self._shelf.forget(index)


def _key(index: str) -> Key:
    return "index", index, None


def _scope_key(index: str) -> Key:
    return "scope", index, None


def _read(calls: Calls, index: str, shelf: Shelf, *, to_search: bool = False) -> Steps[HashedIndex]:
    try:
        mappings = yield from calls.mappings(index)
    except NotFoundError as error:
        raise NotFoundError(
            f"index {index!r} does not exist ({error}); see: meta4 index list"
        ) from error
    if not mappings:
        raise NotFoundError(f"no index matches {index!r}; see: meta4 index list")
    each = {name: fields_in(mapping, name, calls, shelf) for name, mapping in mappings.items()}
    return HashedIndex(index, frozenset(mappings), _together(index, each, to_search))


def _together(
    index: str, each: Mapping[str, Mapping[str, Field]], to_search: bool
) -> dict[str, Field]:
    """The fields that all these indexes have; to be searched they need not be tuned alike.

    Raises:
        ConflictError: they have other fields, or fields that are not searched alike.
    """
    fields, *others = each.values()
    joined: dict[str, Field] = {}
    for name, field in fields.items():
        like = [one[name] for one in others if name in one]
        together: Field | None = None
        if all(one.spec == field.spec for one in like):
            together = field
        elif to_search:
            together = field.together(like)
        if together is None or len(like) < len(others):
            raise ConflictError(
                f"{index!r} names {', '.join(sorted(each))}, with different specs of field "
                f"{name!r}; search them one by one, or rehash those that differ"
            )
        joined[name] = together
    return joined


def hasher_of(fields: Iterable[Field]) -> Steps[Hasher]:
    """What hashes documents on their way into an index: each of some of its fields."""
    hashers = []
    for field in fields:
        hashers.append((yield from field.hasher()))
    return hashers[0] if len(hashers) == 1 else HasherChain(hashers)


def read_index(engine: Engine, index: str) -> HashedIndex:
    """An index as it is now; raises as `Catalog.get` does."""
    check_index(index, pattern=True)
    return engine.run(_read(engine.calls, index, Shelf()))


def read_field(engine: Engine, index: str, name: str | None = None) -> Field:
    """A hashed field of an index, its only one by default.

    Raises:
        NotFoundError: no such index, or not a hashed one, or no such field.
        ConflictError: an alias or pattern over indexes with different specs, or several fields of
            which none is named.
    """
    return read_index(engine, index).field(name)


def read_spec(engine: Engine, index: str) -> FieldSpec:
    """The spec of an index's only field; raises as `read_field` does."""
    return read_field(engine, index).spec
