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

from meta4.adapter.cli.common import notes
from meta4.adapter.engines.engine import Engine
from meta4.adapter.measure import comparison
from meta4.models.specs import DtshSpec

from .contest import Contest, K, bench_engine, fit
from .data import load_fashion_mnist, load_glove, load_questions

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


def _measure(engine: Engine, setting: _Setting) -> dict[str, Any]:
    model = fit(setting.spec, setting.vectors, setting.labels)
    base = setting.vectors[:_N_IMAGES]
    contest = Contest(engine, base, [str(row) for row in range(len(base))], model)
    contest.load_ours("bitwise")

    # As in the paper, documents are their own queries.
    queries = base[np.random.default_rng(0).permutation(len(base))[:_N_QUERIES]]
    truth = comparison.exact_truth(base, queries, K)
    sides = {"meta4": contest.ours(None), "full scan": contest.exact_script()}
    timed = comparison.interleaved(sides, queries, truth, K, warm_up=_WARM_UP)
    return {
        "documents": len(base),
        "codes": len(np.unique(model.encode(base), axis=0)),
        "recall": timed["meta4"].recall,
        "looked_into": contest.looked_into(queries, None),
        "times_as_fast": timed["full scan"].p50_ms / timed["meta4"].p50_ms,
        **{name: asdict(timing) for name, timing in timed.items()},
    }
