"""What an index has beside its hashed field: all of it comes into another index of the documents.

Settings and mapping are what the engine tells, less what is the engine's own, ours, or of the one
cluster. Between the engines what only the one has is left out, and fields of vectors are written as
the other writes them; what it refuses else is refused before a document is written.
"""

from dataclasses import dataclass
from typing import Any

from ...errors import InputError, NotFoundError
from ...ingest.documents import without
from ...mappings.dialect import merged
from ...mappings.fields import ROOT
from ...mappings.spec import Hashing
from ...mappings.vector_fields import has_vectors, translated
from ..engines.engine import Engine
from ..engines.place import Place, flat_settings_of
from .move_state import COPY, STATE
from .pipelines import is_ours

Json = dict[str, Any]
#: What settings begin with, under `index.`, that the engine sets itself.
_KEPT_BY_ENGINE = (
    "uuid",
    "creation_date",
    "provided_name",
    "version.",
    "history.",
    "resize.",
    "shrink.",
    "store.snapshot.",
    "verified_before_close",
    "routing.allocation.initial_recovery.",
    "blocks.read_only_allow_delete",
)
#: The same of what whoever makes an index of ours decides.
_DECIDED = ("number_of_shards", "number_of_replicas")
#: Of what is about the nodes of one cluster.
_OF_THE_CLUSTER = (
    "routing.allocation.include.",
    "routing.allocation.exclude.",
    "routing.allocation.require.",
)
#: With these no document can be brought, or is changed on its way: an index gets them in the end.
_IN_THE_END = ("blocks.", "final_pipeline", "routing.allocation.enable")
#: Of these, what stands in the way of writing a document again.
OF_WRITES = ("blocks.", "final_pipeline")
#: The pipeline of no name.
_NONE = "_none"
_IN_NOBODYS_WAY = ("false", "all", _NONE)


@dataclass(frozen=True)
class Others:
    """What an index has beside the hashed field.

    Attributes:
        properties: of the mapping.
        mapping: what else the mapping says.
        settings: by their whole names.
        meta: beside our own entry in the mapping's `_meta`.
        in_the_end: settings that stand in the way of documents.
    """

    properties: Json
    mapping: Json
    settings: Json
    meta: Json
    in_the_end: Json

    def add_to(self, body: Json) -> None:
        """Put it into the body of an index."""
        mappings = body["mappings"]
        mappings |= self.mapping
        mappings["_meta"] = {**self.meta, **mappings["_meta"]}
        mappings["properties"] = merged(self.properties, mappings["properties"])
        ours: Json = body["settings"]["index"]
        sorts = any(name.startswith("sort.") for name in ours)
        theirs = {
            name: value
            for name, value in self.settings.items()
            if name.removeprefix("index.") not in ours and not (sorts and _begins(name, ("sort.",)))
        }
        body["settings"] |= theirs


def others_of(
    source: Place,
    target: Engine,
    field: str,
    *,
    hashing: Hashing,
    keeps_mapping: bool,
    same_shards: bool,
) -> Others:
    """What another index of the same documents takes over beside the hashed field.

    Args:
        source: an index.
        target: the engine of the other index.
        field: the hashed field.
        hashing: who hashes the documents of the other index.
        keeps_mapping: whether the field's own mapping is as it was.
        same_shards: whether the other has as many.

    Raises:
        InputError: something that the other index cannot have.
    """
    (mapping,) = source.engine.mappings(source.index).values()
    settings = flat_settings_of(source)
    _check_pipelines(source, target, hashing, settings)
    crosses = type(source.engine.dialect) is not type(target.dialect)
    left_out: tuple[str, ...] = (*_KEPT_BY_ENGINE, *_DECIDED)
    if not same_shards:
        left_out += ("number_of_routing_shards",)
    if _cluster(source.engine) != _cluster(target):
        left_out += _OF_THE_CLUSTER
    if crosses:
        left_out += source.engine.dialect.own_settings
    kept = {name: value for name, value in settings.items() if not _begins(name, left_out)}
    if is_ours(kept.get("index.default_pipeline")):
        del kept["index.default_pipeline"]
    in_the_end = {
        name: value for name, value in kept.items() if _is_in_the_way(name, value, _IN_THE_END)
    }

    properties = without(mapping.get("properties", {}), ROOT)
    if not keeps_mapping:
        properties = without(properties, field.replace(".", ".properties."))
    if crosses:
        properties = translated(properties)
        if has_vectors(properties):
            kept |= {f"index.{name}": value for name, value in target.dialect.settings().items()}
    left_out_too = ("_meta", "_source", "properties") if crosses else ("_meta", "properties")
    ours = (ROOT, STATE, COPY)
    return Others(
        properties,
        {name: value for name, value in mapping.items() if name not in left_out_too},
        {name: value for name, value in kept.items() if name not in in_the_end},
        {name: value for name, value in mapping.get("_meta", {}).items() if name not in ours},
        in_the_end,
    )


def check_nothing_in_the_way(place: Place, settings: tuple[str, ...] = _IN_THE_END) -> None:
    """Refuse an index whose documents cannot be written again where others write too.

    A final pipeline runs whatever a request says: documents would go through it a second time.

    Args:
        place: an index.
        settings: what such settings begin with, under `index.`.

    Raises:
        InputError: it has one of them.
    """
    for name, value in flat_settings_of(place).items():
        if not _is_in_the_way(name, value, settings):
            continue
        why = "takes no writes"
        if name == "index.final_pipeline":
            why = "would send documents through it a second time"
        raise InputError(
            f"{place} has {name}: {value}, and so {why}; set it to null in "
            f"/{place.index}/_settings, run the same again, and set it back"
        )


def _is_in_the_way(name: str, value: Any, settings: tuple[str, ...]) -> bool:
    if _begins(name, _KEPT_BY_ENGINE) or not _begins(name, settings):
        return False
    return str(value) not in _IN_NOBODYS_WAY


def _check_pipelines(source: Place, target: Engine, hashing: Hashing, settings: Json) -> None:
    """Refuse pipelines of others that the other index cannot have."""
    default = settings.get("index.default_pipeline", _NONE)
    theirs = default != _NONE and not is_ours(default)
    if theirs and hashing == "server":
        raise InputError(
            f"{source} has the default_pipeline {default!r}, and an index that the server hashes "
            f"has ours in its place; hash with --hashing client, or have {default!r} run as the "
            f"index's final_pipeline"
        )
    for name in (default, settings.get("index.final_pipeline", _NONE)):
        if name == _NONE or is_ours(name):
            continue
        try:
            target.request("GET", f"/_ingest/pipeline/{name}")
        except NotFoundError as error:
            raise InputError(
                f"{source} has the pipeline {name!r}, which {target.url} does not know; create it "
                f"there first, with PUT /_ingest/pipeline/{name}"
            ) from error


def _cluster(engine: Engine) -> str:
    return str(engine.request("GET", "/_cluster/state/version")["cluster_uuid"])


def _begins(name: str, with_one_of: tuple[str, ...]) -> bool:
    return name.removeprefix("index.").startswith(with_one_of)
