"""Documents whose hash is missing or not their vector's, or whose vector is not what it should be.

A script compares each document's stored code with the signs of its own vector, on the server. Where
vectors are made of texts, both are compared here.
"""

from collections.abc import Iterator
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from ....ingest.documents import value_at
from ....ingest.embedding import Vector, becoming
from ....mappings.dialect import Dialect
from ....mappings.fields import sketch_name
from ....mappings.spec import IndexSpec
from ....models.codes import unpack_bits
from ....models.embeddings import UNIT_TOLERANCE, are_unit, embedding_fault, unpacked
from ....models.model import HashModel
from ...engines.calls import Json
from ...engines.engine import Engine

#: Bits compared: enough that another vector shares them by chance once in a million.
_BITS = 24
#: Bits nearer than this to their hyperplane (a cosine) are not compared: the engine keeps
#: float32 directions, whose last digit may turn them.
_MARGIN = 1e-5
#: The same for a network's margins, which another processor adds in another order, and whose
#: input may have been scaled since.
_NETWORK_MARGIN = 1e-3
#: Documents fetched and compared at a time.
_COMPARED = 1000

_UNHASHED = """
if (doc[params.model_field].size() == 0 || doc[params.code_field].size() == 0) {{ return 1.0; }}
for (String part : params.parts) {{ if (doc[part].size() == 0) {{ return 1.0; }} }}
if (!doc[params.model_field].value.equals(params.model)) {{ return 1.0; }}
{first_long}
double m;
"""
_NOT_SCALED = """
{length}
if (Math.abs(length - 1.0) > params.tolerance) {{ return 1.0; }}
"""
#: Written out for each bit: Elasticsearch makes a place in a script that calls
#: `cosineSimilarity` keep the first vector that it was called with.
_DIFFERS = """
m = cosineSimilarity(params.rows[{r}], {field}) - (double) params.offsets[{r}];
if (Math.abs(m) > params.margin && (m > 0.0) != (((code >>> (63 - {r})) & 1L) == 1L)) {{
  return 1.0;
}}
"""


def stale_query(spec: IndexSpec, model: HashModel, dialect: Dialect) -> Json:
    """Documents with a vector whose model, code or length is not what it should be."""
    fields = spec.fields
    n = min(_BITS, spec.n_bits)
    rows = model.weights.code_rows[:n].astype(np.float64)
    lengths = np.linalg.norm(rows, axis=1)
    params = {
        "field": spec.field,
        "model_field": fields.model,
        "model": str(spec.model),
        "parts": [f"{fields.root}.{part}" for part in _parts(spec)],
        "code_field": spec.code_storage.first_field(fields.root, spec.n_bits),
        "rows": (rows / lengths[:, None]).tolist(),
        "offsets": (model.weights.code_offsets[:n] / lengths).tolist(),
        "margin": _MARGIN,
        "tolerance": UNIT_TOLERANCE,
    }
    tests = "".join(_DIFFERS.format(r=r, field=dialect.script_field) for r in range(n))
    unhashed = _UNHASHED.format(first_long=spec.code_storage.first_long)
    scaled = _NOT_SCALED.format(length=dialect.script_length) if spec.is_unit else ""
    source = f"{unhashed}{scaled}{tests}return 0.0;"
    return {
        "script_score": {
            "query": {"exists": {"field": spec.field}},
            "script": {"lang": "painless", "source": source, "params": params},
            "min_score": 0.5,
        }
    }


def _parts(spec: IndexSpec) -> list[str]:
    """What a hashed document has beside its model and code."""
    return [*spec.all_keywords, *([sketch_name(spec.sketch)] if spec.sketch else [])]


def _stale_hits(engine: Engine, index: str, spec: IndexSpec, model: HashModel) -> Iterator[Json]:
    """The same by comparing here: no script runs a network, and some servers run none at all."""
    bound = spec.encoder
    every: Json = {"exists": {"field": spec.field}} if bound is None else {"match_all": {}}
    body = {"query": every, "seq_no_primary_term": True}
    hits = engine.scan(index, body)
    while batch := list(islice(hits, _COMPARED)):
        hashed, codes, vectors = [], [], []
        for hit in batch:
            if bound is not None:
                if becoming(hit["_source"], spec, bound) is not Vector.STAYS:
                    yield hit
                    continue
                if value_at(hit["_source"], spec.field) is None:
                    continue
            stored = value_at(hit["_source"], spec.fields.root) or {}
            code = spec.code_storage.code(stored, spec.n_bits)
            vector = unpacked(value_at(hit["_source"], spec.field))
            is_fault = embedding_fault(vector, spec.dims) is not None
            lacks = any(stored.get(part) is None for part in _parts(spec))
            if stored.get("model") != str(spec.model) or code is None or lacks or is_fault:
                yield hit
                continue
            hashed.append(hit)
            codes.append(code)
            vectors.append(vector)
        if not hashed:
            continue
        whole = np.asarray(vectors, np.float32)
        fit = codes_fit(model, np.asarray(codes), whole)
        if spec.is_unit:
            fit &= are_unit(whole)
        yield from (hit for hit, fits in zip(hashed, fit, strict=True) if not fits)


def codes_fit(
    model: HashModel, codes: NDArray[np.uint8], vectors: NDArray[np.float32]
) -> NDArray[np.bool_]:
    """Which codes are their vectors', but for bits that are not defined.

    Args:
        model: that hashed them.
        codes: (n, n_bytes) uint8.
        vectors: (n, dims) float32.
    """
    margins = model.margins(vectors)
    bits = unpack_bits(codes, margins.shape[1])
    differ: NDArray[np.bool_] = (bits != (margins > 0)) & (np.abs(margins) > _NETWORK_MARGIN)
    fit: NDArray[np.bool_] = ~np.any(differ, axis=1)
    return fit


def stale_hits(engine: Engine, index: str, spec: IndexSpec, model: HashModel) -> Iterator[Json]:
    """Hits of all such documents."""
    if not _by_script(engine, spec, model):
        return _stale_hits(engine, index, spec, model)
    query = stale_query(spec, model, engine.dialect)
    return engine.scan(index, {"query": query, "seq_no_primary_term": True})


def count_stale(engine: Engine, index: str, spec: IndexSpec, model: HashModel) -> int:
    """How many these are."""
    if _by_script(engine, spec, model):
        return engine.count(index, stale_query(spec, model, engine.dialect))
    return sum(1 for _ in _stale_hits(engine, index, spec, model))


def _by_script(engine: Engine, spec: IndexSpec, model: HashModel) -> bool:
    """Whether the server can say it."""
    return spec.encoder is None and model.is_linear and engine.has_scripts()
