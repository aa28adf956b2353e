"""Finding documents whose hash is missing or not their vector's, and hashing them again.

The engine runs no pipeline for an `update` inside `_bulk` (unless `doc_as_upsert` is set), nor
where a client switches it off: the vector changes and the hash does not. A script compares each
document's stored code with the signs of its own vector, on the server.
"""

from collections.abc import Iterator
from itertools import islice
from typing import Any

import numpy as np

from ...errors import RefusedError
from ...ingest.documents import Document, value_at
from ...ingest.hashing import DocumentHasher
from ...mappings.dialect import Dialect
from ...mappings.spec import IndexSpec
from ...models.codes import unpack_bits
from ...models.model import HashModel
from ..engines.engine import Engine
from ..engines.names import check_index
from ..load.loader import load_documents
from ..model_store import ModelStore
from ..search.catalog import read_spec

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
if (!doc[params.model_field].value.equals(params.model)) {{ return 1.0; }}
{first_long}
double m;
"""
#: Written out for each bit: Elasticsearch makes a place in a script that calls
#: `cosineSimilarity` keep the first vector that it was called with.
_DIFFERS = """
m = cosineSimilarity(params.rows[{r}], {field}) - (double) params.offsets[{r}];
if (Math.abs(m) > params.margin && (m > 0.0) != (((code >>> (63 - {r})) & 1L) == 1L)) {{
  return 1.0;
}}
"""


def stale_query(spec: IndexSpec, model: HashModel, dialect: Dialect) -> dict[str, Any]:
    """Documents with a vector whose model or code is not what it should be."""
    fields = spec.fields
    n = min(_BITS, spec.n_bits)
    rows = model.weights.code_rows[:n].astype(np.float64)
    lengths = np.linalg.norm(rows, axis=1)
    params = {
        "field": spec.field,
        "model_field": fields.model,
        "model": str(spec.model),
        "code_field": spec.code_storage.first_field(fields.root, spec.n_bits),
        "rows": (rows / lengths[:, None]).tolist(),
        "offsets": (model.weights.code_offsets[:n] / lengths).tolist(),
        "margin": _MARGIN,
    }
    tests = "".join(_DIFFERS.format(r=r, field=dialect.script_field) for r in range(n))
    unhashed = _UNHASHED.format(first_long=spec.code_storage.first_long)
    source = f"{unhashed}{tests}return 0.0;"
    return {
        "script_score": {
            "query": {"exists": {"field": spec.field}},
            "script": {"lang": "painless", "source": source, "params": params},
            "min_score": 0.5,
        }
    }


def _stale_hits(
    engine: Engine, index: str, spec: IndexSpec, model: HashModel
) -> Iterator[dict[str, Any]]:
    """The same by comparing here: no script runs a network, and some servers run none at all."""
    body = {"query": {"exists": {"field": spec.field}}, "seq_no_primary_term": True}
    hits = engine.scan(index, body)
    while batch := list(islice(hits, _COMPARED)):
        vectors = np.asarray([value_at(hit["_source"], spec.field) for hit in batch], np.float32)
        margins = model.margins(vectors)
        for hit, margin in zip(batch, margins, strict=True):
            stored = value_at(hit["_source"], spec.fields.root) or {}
            code = spec.code_storage.code(stored, spec.n_bits)
            if stored.get("model") != str(spec.model) or code is None:
                yield hit
                continue
            (bits,) = unpack_bits(code[None], spec.n_bits)
            if ((bits != (margin > 0)) & (np.abs(margin) > _NETWORK_MARGIN)).any():
                yield hit


def count_stale(engine: Engine, index: str, spec: IndexSpec, model: HashModel) -> int:
    """How many documents `heal_index` would hash again."""
    if model.is_linear and engine.has_scripts():
        return engine.count(index, stale_query(spec, model, engine.dialect))
    return sum(1 for _ in _stale_hits(engine, index, spec, model))


def heal_index(engine: Engine, index: str, *, dry_run: bool = False) -> int:
    """Hash stale documents again; gives how many were written.

    One that somebody writes meanwhile is left as it is then.

    Args:
        engine: where.
        index: which index.
        dry_run: only count.

    Raises:
        NotFoundError: no such index, or not one of ours.
        RefusedError: a document could not be written back.
    """
    engine.refresh(check_index(index))
    spec = read_spec(engine, index)
    _, model = ModelStore(engine).pull(str(spec.model))
    if dry_run:
        return count_stale(engine, index, spec, model)
    if model.is_linear and engine.has_scripts():
        query = stale_query(spec, model, engine.dialect)
        hits = engine.scan(index, {"query": query, "seq_no_primary_term": True})
    else:
        hits = _stale_hits(engine, index, spec, model)
    stale = (Document.of(hit, only_if=(hit["_seq_no"], hit["_primary_term"])) for hit in hits)
    report = load_documents(engine, index, stale, DocumentHasher(model, spec))
    if report.refusals:
        first = report.refusals[0]
        raise RefusedError(
            f"{report.n_refused:,} of {report.n_settled:,} stale documents could not be written "
            f"back, "
            f"the first is {first.id!r}: {first.reason}"
        )
    engine.refresh(index)
    return report.n_indexed
