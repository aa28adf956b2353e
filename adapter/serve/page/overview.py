"""Indexes as the page tells of them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ...catalog import read_index
from ...engines.calls import Steps, Work
from ...engines.engine import Engine
from ...fields.field import Field, Finding
from ...fields.vectors.field import VectorField
from ...manage.doctor import examine_index
from ...manage.indexes import list_indexes
from . import plots

Json = dict[str, Any]
#: Documents that the doctor asks with: a person waits.
_QUERIES = 100
#: Depths of a calibration that are drawn.
_DEPTHS = (1, 10, 100)


@dataclass(frozen=True)
class FieldShown:
    """A hashed field.

    Attributes:
        name: of the field.
        facts: all that is known of it, in words.
        plots: by title; see `plots`.
    """

    name: str
    facts: Mapping[str, str]
    plots: Mapping[str, Json]


def indexes() -> Steps[list[Json]]:
    """See `list_indexes`."""
    found: list[Json] = yield Work(list_indexes)
    return found


def shown(index: str) -> Steps[list[FieldShown]]:
    """All hashed fields of an index, counted now.

    Raises:
        NotFoundError: no such index, or not one of ours.
    """

    def work(engine: Engine) -> list[FieldShown]:
        fields = read_index(engine, index).fields
        return [_field(engine, index, name, field) for name, field in fields.items()]

    found: list[FieldShown] = yield Work(work)
    return found


def findings(index: str) -> Steps[list[Finding]]:
    """See `examine_index`."""
    found: list[Finding] = yield Work(
        lambda engine: examine_index(engine, index, n_queries=_QUERIES)
    )
    return found


def _field(engine: Engine, index: str, name: str, field: Field) -> FieldShown:
    facts = field.show(engine, index)
    facts.pop("calibration", None)
    drawn: dict[str, Json] = {}
    if isinstance(field, VectorField):
        directory = engine.run(field.directory(index))
        if len(directory.counts):
            drawn["Sizes of the buckets"] = plots.sizes(directory.counts)
        points = _delivered(field)
        if points:
            drawn["Recall and what it costs"] = plots.recalls(points)
    return FieldShown(name, {key: _in_words(value) for key, value in facts.items()}, drawn)


def _delivered(field: VectorField) -> list[Json]:
    """What requests delivered while the index was tuned, or were to deliver."""
    spec = field.spec
    if spec.outlook is not None:
        return [
            {
                "queries": one.queries,
                "k": one.k,
                "recall": one.mean,
                "looked_into": one.looked_into,
            }
            for one in spec.outlook.delivered
        ]
    if spec.calibration is None:
        return []
    return [
        {"queries": "documents", "k": depth, "recall": float(recall), "looked_into": share}
        for recall, shares in spec.calibration.shares.items()
        for depth, share in zip(spec.calibration.depths, shares, strict=True)
        if depth in _DEPTHS
    ]


def _in_words(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    return f"{value:,.3g}" if isinstance(value, float) else str(value)
