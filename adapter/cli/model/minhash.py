"""`meta4 train --model minhash`: no training, but texts that are looked at first."""

from pathlib import Path

import numpy as np
from pydantic import ValidationError

from ....errors import InputError
from ....ingest.files.sources import read_texts
from ....models.kinds.minhash import MinHasher, MinHashSpec, choose_bands, save_minhash
from ..common import counting, print_json, print_table, spec_fault

_SHOWN = (0.3, 0.5, 0.6, 0.7, 0.8, 0.9)


def fit_minhash(
    file: Path,
    field: str,
    out: Path,
    *,
    similarity: float,
    recall: float,
    as_json: bool,
    **chosen: int,
) -> None:
    """Choose bands and rows, try them on every text, and write the model's folder.

    Args:
        file: documents with texts.
        field: theirs.
        out: for the model.
        similarity: Jaccard, from which on near-duplicates are to be found.
        recall: how often, at just that similarity.
        as_json: how the model is shown.
        chosen: of the spec.

    Raises:
        InputError: no text that can be hashed, or a spec that cannot be.
    """
    bands, rows = choose_bands(similarity, recall)
    try:
        spec = MinHashSpec.model_validate({"bands": bands, "rows": rows, **chosen})
    except ValidationError as error:
        raise spec_fault("minhash", error) from error
    hasher = MinHasher(spec)
    counts, buckets, faults = [], set(), []
    with counting("shingling", None, "texts") as advance:
        for origin, text in read_texts(file, field):
            try:
                shingles = hasher.shingles(text)
            except InputError as error:
                faults.append(f"{origin}: {field}: {error}")
                continue
            counts.append(len(shingles))
            buckets.update(hasher.buckets(shingles))
            advance(1)
    if not counts:
        raise InputError(faults[0])
    save_minhash(spec, out)
    n_buckets = bands * len(counts)
    seen = {
        "texts": f"{len(counts):,}, of {np.median(counts):,.0f} shingles at the median",
        "buckets shared": f"{n_buckets - len(buckets):,} of {n_buckets:,}",
    }
    if faults:
        seen["cannot be hashed"] = f"{len(faults):,}, the first is {faults[0]}"
    show_minhash(spec, out, as_json, **seen)


def show_minhash(spec: MinHashSpec, folder: Path, as_json: bool, **seen: str) -> None:
    """What a model finds, as tables or as JSON, and what was seen of the texts."""
    found = {f"{s:g}": round(spec.found(s), 4) for s in _SHOWN}
    if as_json:
        about = {"folder": str(folder), "model": str(spec), "found_by_similarity": found}
        print_json(about | seen | spec.model_dump(mode="json"))
        return
    print_table(["Jaccard similarity", "found"], [[s, f"{p:.2%}"] for s, p in found.items()])
    rows = [
        ("folder", str(folder)),
        ("model", str(spec)),
        ("shingles", f"of {spec.shingle} characters"),
        ("buckets of a text", f"{spec.bands}, of {spec.rows} minima"),
        *seen.items(),
    ]
    print_table(["", ""], rows)
