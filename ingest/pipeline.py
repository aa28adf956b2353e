"""The ingest pipeline that hashes on the server, whatever client sends the document.

It runs for plain `_doc`, `_bulk` and `_update`; only a *scripted* update inside `_bulk` passes
it by, as the engine runs no pipeline there.

Weights are integers of one range (`meta4.models.graphs.grid`), so each is one character of a script
parameter: 4,096 cells of 100 dimensions are 0.8 MB of cluster state where a list of numbers is
8.9, and reading a character is as fast as Painless gets.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError
from ..mappings.fields import sketch_name
from ..mappings.spec import IndexSpec
from ..models.embeddings import UNIT_ROUNDING, UNIT_TOLERANCE
from ..models.graphs.grid import UNROLLED
from ..models.model import HashModel
from ..models.probing.directory import term_width
from .painless import FUNCTIONS, MAIN

#: One million weights are 2 MB in every node's cluster state and about a millisecond of one
#: core for each document.
MAX_WEIGHTS = 1_000_000
#: The character of a zero weight; the whole range is U+0041 to U+07BF, at most two bytes each.
_ZERO = 1024


def check_pipeline_fits(model: HashModel) -> None:
    """Refuse a model that the server cannot hash with.

    Raises:
        InputError: a network, or more than `MAX_WEIGHTS` weights.
    """
    if not model.is_linear:
        raise InputError(
            f"a {model.manifest.kind} model is a network, which no server-side pipeline runs; "
            f"hash on the client with --hashing client"
        )
    weights = model.weights
    if weights.size > MAX_WEIGHTS:
        raise InputError(
            f"the model has {weights.size:,} weights, and a server-side pipeline carries at most "
            f"{MAX_WEIGHTS:,} (they lie in every node's cluster state and cost about 1 ns each "
            f"for every document); hash on the client with --hashing client, or train fewer "
            f"buckets or bits"
        )


def pipeline_body(spec: IndexSpec, model: HashModel) -> dict[str, Any]:
    """Body of `PUT _ingest/pipeline/…` that hashes `spec.field` with `model`.

    A document without the field passes unhashed; one whose vector cannot be hashed is refused
    with status 400 and the same words as on the client.

    Raises:
        InputError: see `check_pipeline_fits`.
    """
    check_pipeline_fits(model)
    weights = model.weights
    dims = weights.code_rows.shape[1]
    padded = -(-dims // UNROLLED) * UNROLLED
    params: dict[str, Any] = {
        "root": spec.fields.root,
        "what": spec.field,
        "model": str(spec.model),
        "has_home": spec.has_home,
        "dims": dims,
        "is_unit": spec.is_unit,
        "rounding": UNIT_ROUNDING,
        "tolerance": UNIT_TOLERANCE,
        "padded": padded,
        "n_bits": spec.n_bits,
        "n_buckets": weights.n_buckets,
        "width": term_width(weights.n_buckets),
        "cells": weights.bucket_kind == "cells",
        "bucket_rows": _as_text(weights.bucket_rows, padded),
        "code_rows": _as_text(weights.code_rows, padded),
        "code_offsets": weights.code_offsets.tolist(),
    }
    if weights.bucket_kind == "cells":
        params |= {
            "scale": weights.scale,
            "soar_lambda": weights.soar_lambda,
            "squares": weights.loss_constants.tolist(),
        }
    else:
        params |= {
            "n_tables": weights.n_tables,
            "bits_per_table": weights.bits_per_table,
            "bucket_offsets": weights.bucket_offsets.tolist(),
        }
    params |= _sketch(spec, model, padded)
    source = FUNCTIONS + spec.code_storage.put + MAIN
    return {
        "description": f"meta4: hashes {spec.field} with {spec.model}",
        "processors": [{"script": {"lang": "painless", "source": source, "params": params}}],
    }


def _sketch(spec: IndexSpec, model: HashModel, padded: int) -> dict[str, Any]:
    if not spec.sketch:
        return {"n_directions": 0}
    weights = model.sketch(spec.sketch)
    return {
        "n_directions": spec.sketch,
        "sketch": sketch_name(spec.sketch),
        "sketch_rows": _as_text(weights.rows, padded),
        "sketch_factor": weights.factor,
    }


def _as_text(rows: NDArray[np.int16], padded: int) -> str:
    filled = np.zeros((len(rows), padded), dtype=np.int64)
    filled[:, : rows.shape[1]] = rows
    return "".join(map(chr, (filled.ravel() + _ZERO).tolist()))
