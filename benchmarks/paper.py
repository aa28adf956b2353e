"""The Meta4 paper's own settings in an engine: the code is the bucket, Algorithm 1 looks into it.

Its figures 10 to 12: recall@25 and time against the full search, for images with a code of 7 bits
and for 199 GloVe words, clustered by DBSCAN, with 3 and 4 bits, no activation at the end: what it
found best (section 4.3.1). Its images are ImageNet's, as EfficientNet embeds them; ours are
Fashion-MNIST's.
"""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from meta4 import Document, DocumentHasher, HashModel, Meta4
from meta4.adapter import comparison
from meta4.adapter.cli.common import notes, stages
from meta4.adapter.engines.opensearch import OpenSearchEngine
from meta4.adapter.indexes import create_index
from meta4.adapter.loading import load_documents
from meta4.adapter.store import ModelStore
from meta4.models.specs import DtshSpec

from .contest import FIELD, K, bench_engine
from .data import load_fashion_mnist, load_glove, load_questions

_INDEX = "bench-paper"
_N_IMAGES, _N_WORDS = 10_000, 199
_N_QUERIES, _WARM_UP = 200, 500
#: 40,960 numbers go through eight layers there, 784 through as many narrower ones here.
_IMAGE_LAYERS = (512, 512, 256, 256, 128, 128, 64, 64)
_TEXT_LAYERS = (128, 64, 32)
#: DBSCAN's radius that makes four clusters of the words: so many the paper has.
_FOUR_CLUSTERS = 0.45


@dataclass(frozen=True)
class _Setting:
    """One row of the paper: its vectors, classes if it has them, and its network."""

    name: str
    vectors: NDArray[np.float32]
    labels: NDArray[np.int64] | None
    spec: DtshSpec


def paper_settings() -> dict[str, dict[str, Any]]:
    """Each setting's recall@25, documents looked into, and both sides' times in ms."""
    with bench_engine() as engine:
        found = {}
        for setting in _settings():
            found[setting.name] = _measure(engine, setting)
            notes.print(setting.name, found[setting.name])
        engine.delete_index(_INDEX)
    return found


def _settings() -> Iterator[_Setting]:
    images, _ = load_fashion_mnist()
    spec = DtshSpec(n_bits=7, layers=_IMAGE_LAYERS, dropout=(0.5, 0.4), output="none")
    yield _Setting("Fashion-MNIST, 7 bits", images.vectors, images.labels, spec)
    glove = load_glove()
    row_of = {word: row for row, word in enumerate(glove.words)}
    asked = dict.fromkeys(word for question in load_questions() for word in question)
    known = [row_of[word] for word in asked if word in row_of]
    rows = np.random.default_rng(0).permutation(known)[:_N_WORDS]
    for n_bits in (3, 4):
        text = DtshSpec(
            n_bits=n_bits, layers=_TEXT_LAYERS, output="none", epochs=100.0, eps=_FOUR_CLUSTERS
        )
        yield _Setting(f"{_N_WORDS} GloVe words, {n_bits} bits", glove.vectors[rows], None, text)


def _measure(engine: OpenSearchEngine, setting: _Setting) -> dict[str, Any]:
    with stages() as progress:
        model = HashModel.fit(setting.spec, setting.vectors, progress, labels=setting.labels)
    base = setting.vectors[:_N_IMAGES]
    ref = ModelStore(engine).push("bench-paper", model)
    engine.delete_index(_INDEX)
    spec = create_index(
        engine, _INDEX, field=FIELD, ref=ref, model=model, plan="bitwise", hashing="client"
    )
    documents = (Document(str(row), {FIELD: vector}) for row, vector in enumerate(base))
    report = load_documents(engine, _INDEX, documents, DocumentHasher(model, spec))
    assert not report.refusals, report.refusals[0]
    engine.request("POST", f"/{_INDEX}/_forcemerge", params={"max_num_segments": "1"})
    engine.refresh(_INDEX)

    # As in the paper, documents are their own queries.
    queries = base[np.random.default_rng(0).permutation(len(base))[:_N_QUERIES]]
    meta4 = Meta4(engine)

    def body(query: NDArray[np.float32]) -> dict[str, Any]:
        clause = {"meta4_similar": {FIELD: {"vector": query.tolist(), "k": K}}}
        return {"_source": False, "query": clause}

    def ours(query: NDArray[np.float32]) -> list[dict[str, Any]]:
        hits: list[dict[str, Any]] = meta4.search(index=_INDEX, body=body(query))["hits"]["hits"]
        return hits

    def full(query: NDArray[np.float32]) -> list[dict[str, Any]]:
        scan = comparison.exact_script_body(FIELD, query, K)
        hits: list[dict[str, Any]] = engine.search(_INDEX, scan)["hits"]["hits"]
        return hits

    truth = comparison.exact_truth(base, queries, K)
    sides: dict[str, comparison.Search] = {"meta4": ours, "full scan": full}
    timed = comparison.interleaved(sides, queries, truth, K, warm_up=_WARM_UP)
    shares = [
        meta4.explain(index=_INDEX, body=body(query))["clauses"][0]["share_looked_into"]
        for query in queries
    ]
    return {
        "documents": len(base),
        "codes": len(np.unique(model.encode(base), axis=0)),
        "recall": timed["meta4"].recall,
        "looked_into": float(np.mean(shares)),
        "times_as_fast": timed["full scan"].p50_ms / timed["meta4"].p50_ms,
        **{name: asdict(timing) for name, timing in timed.items()},
    }
