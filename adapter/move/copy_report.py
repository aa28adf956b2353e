"""What a copy did, and whether it is whole: counted, and compared with where it comes from."""

from dataclasses import dataclass
from dataclasses import field as initial
from typing import Any

import numpy as np

from ...ingest.documents import value_at, without
from ...mappings.fields import ROOT
from ..engines.place import Place
from ..fields.field import Field
from ..load.loader import LoadReport

Json = dict[str, Any]
#: Documents that are compared with their copies.
_COMPARED = 200
#: By which float32 numbers may differ in their last digits.
_RELATIVE = 1e-6


@dataclass
class CopyReport:
    """What a copy did.

    Attributes:
        loaded: documents written in this run, and those refused.
        n_hashed: of those written, how many were hashed anew for want of the model's hash.
        n_source: documents in the source, afterwards.
        n_target: documents in the target, afterwards.
        n_source_values: of those in the source, how many have the hashed field.
        n_target_values: the same of the target.
        n_compared: documents compared with their copies.
        differing: ids of those that are not the same.
    """

    loaded: LoadReport
    n_hashed: int = 0
    n_source: int = 0
    n_target: int = 0
    n_source_values: int = 0
    n_target_values: int = 0
    n_compared: int = 0
    differing: list[str] = initial(default_factory=list)

    @property
    def is_whole(self) -> bool:
        """Whether all is there and the same."""
        there = self.n_source == self.n_target and self.n_target_values >= self.n_source_values
        return there and not (self.differing or self.loaded.n_refused)


def verify(source: Place, target: Place, field: Field, report: CopyReport) -> None:
    """Count, and compare some documents drawn in the target with where they come from."""
    for place in (source, target):
        place.engine.refresh(place.index)
    report.n_source = source.engine.count(source.index)
    report.n_target = target.engine.count(target.index)
    has_value = {"exists": {"field": field.spec.field}}
    report.n_source_values = source.engine.count(source.index, has_value)
    report.n_target_values = target.engine.count(target.index, has_value)
    drawn = {"function_score": {"random_score": {}, "boost_mode": "replace"}}
    body = {"size": _COMPARED, "query": drawn}
    parameters = target.engine.vectors_in_source()
    copies = target.engine.search(target.index, body, parameters)["hits"]["hits"]
    originals = source.engine.sources(
        source.index, {copy["_id"]: copy.get("_routing") for copy in copies}
    )
    report.n_compared = len(copies)
    report.differing = [
        copy["_id"]
        for copy, original in zip(copies, originals, strict=True)
        if original is None or not _same(original, copy["_source"], field)
    ]


def _same(original: Json, copy: Json, field: Field) -> bool:
    """Whether the hashed values are the same, and all that is not ours is equal."""
    name = field.spec.field
    values = [value_at(source, name) for source in (original, copy)]
    if (values[0] is None) != (values[1] is None):
        return False
    if values[0] is not None and not field.succession.is_same_value(*values):
        return False
    rest = [without(without(source, name), ROOT) for source in (original, copy)]
    return _alike(*rest)


def _alike(original: Any, copy: Any) -> bool:
    """Whether two values are equal; lists of numbers, as an engine may keep vectors, in float32."""
    if isinstance(original, dict) and isinstance(copy, dict):
        return original.keys() == copy.keys() and all(
            _alike(value, copy[name]) for name, value in original.items()
        )
    if isinstance(original, list) and isinstance(copy, list) and len(original) == len(copy):
        if original and all(type(v) in (int, float) for v in original + copy):
            return bool(np.allclose(original, copy, rtol=_RELATIVE, atol=0.0))
        return all(_alike(*pair) for pair in zip(original, copy, strict=True))
    return bool(original == copy)
