"""What a field of texts promises: near-duplicates, as often as its bands' formula says."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ....errors import InputError
from ....ingest.sources import read_texts
from ....mappings.texts import TextSpec
from ....models.kinds.minhash import MinHashSpec
from ....models.probing.ranking import Plan
from ...engines.calls import Json
from ...engines.engine import Engine
from ..promise import Basis, Judge, Judged, Promise, Question, Table
from ..queries import sample_documents
from ..recall import SCORE_TOLERANCE

#: Similarities that the chance of being found is said for.
SHOWN = (0.3, 0.5, 0.7, 0.8, 0.9)
#: Any recall below 1 asks the buckets.
_BY_BUCKETS = 0.95


class TextPromise(Promise):
    """A document of some similarity is found as often as the bands' formula says."""

    recalls = (None,)
    verb = "promised"

    def __init__(self, spec: TextSpec) -> None:
        self._spec = spec

    def tune(
        self,
        engine: Engine,
        index: str,
        *,
        plan: Plan | None = None,
        n_queries: int | None = None,
        given: Any = None,
        seed: int | None = None,
        progress: Callable[[int], None] = lambda _: None,
    ) -> MinHashSpec:
        """See `Promise`: nothing is measured, as a formula says it."""
        if any(option is not None for option in (plan, n_queries, given, seed)):
            raise InputError(
                "what is found of texts is said by a formula, and nothing is to be measured; leave "
                "--plan, --queries, --query-file and --seed out, or measure with: meta4 eval"
            )
        return self._spec.minhash

    def table(self, tuned: MinHashSpec | None = None) -> Table | None:
        """See `Promise`."""
        minhash = tuned or self._spec.minhash
        return Table(
            title=f"how often {minhash} finds a document, by its similarity",
            headers=["Jaccard similarity", "found"],
            rows=[[f"{s:g}", f"{minhash.found(s):.2%}"] for s in SHOWN],
        )

    def read_queries(self, path: Path) -> list[str]:
        """See `Promise`."""
        return [text for _, text in read_texts(path, self._spec.field)]

    def questions(
        self, engine: Engine, index: str, n: int, seed: int, given: Sequence[str] | None
    ) -> list[Question]:
        """See `Promise`."""
        if given is None:
            drawn = sample_documents(engine, index, self._spec.field, n, seed)
            texts = [(identity, value) for identity, value in drawn if isinstance(value, str)]
            return [Question(identity, {"text": text}) for identity, text in texts if text.strip()]
        rows = np.random.default_rng(seed).permutation(len(given))[:n]
        return [Question(None, {"text": given[row]}) for row in np.sort(rows)]

    def judge(self, k: int, recall: float | None) -> "TextJudge":
        """See `Promise`."""
        if recall is not None:
            raise InputError(
                "an index of texts has one recall, by its bands and the similarity; leave --recall "
                "out"
            )
        return TextJudge(self._spec.minhash)

    def missing(self) -> str | None:
        """See `Promise`."""
        return None

    def basis(self, n_documents: int) -> Basis:
        """See `Promise`."""
        return Basis(f"by the formula of {self._spec.minhash}")

    def remedy(self, index: str) -> str:
        """See `Promise`."""
        return "train with a lower --similarity, then: meta4 index rehash ALIAS --model NEW"


class TextJudge(Judge):
    """Of the near-duplicates, as many are to be found as the formula says."""

    asks = _BY_BUCKETS

    def __init__(self, minhash: MinHashSpec) -> None:
        self._minhash = minhash
        #: By query: similarities of what is near, and whether it was found.
        self._queries: list[list[tuple[float, bool]]] = []

    def add(self, found: Sequence[Json], truth: Sequence[Json]) -> None:
        """See `Judge`."""
        ids = {hit["_id"] for hit in found}
        near = [hit for hit in truth if hit["_score"] >= SHOWN[0] - SCORE_TOLERANCE]
        self._queries.append([(float(hit["_score"]), hit["_id"] in ids) for hit in near])

    def judged(self) -> Judged:
        """See `Judge`; details by similarity, from each that is shown up to the next."""
        pairs = [pair for query in self._queries for pair in query]
        ends = [*SHOWN[1:], np.inf]
        details = [
            {"similarity_from": low, **self._of([p for p in pairs if low <= p[0] < high])}
            for low, high in zip(SHOWN, ends, strict=True)
        ]
        whole = self._of(pairs)
        # What is near to one query is near to each other, and shares its luck: errors are summed
        # by query (the sandwich estimator of clustered data; Liang & Zeger, Biometrika 1986).
        off = [
            sum(found - self._minhash.found(min(1.0, s)) for s, found in query)
            for query in self._queries
        ]
        error = float(np.sqrt(np.sum(np.square(off)))) / max(1, len(pairs))
        return Judged(whole["found"], error, whole["promised"], details)

    def _of(self, pairs: Sequence[tuple[float, bool]]) -> Json:
        """Of pairs of documents: how many, the share found, and that promised."""
        if not pairs:
            return {"pairs": 0, "found": 1.0, "promised": 1.0}
        return {
            "pairs": len(pairs),
            "found": float(np.mean([found for _, found in pairs])),
            "promised": float(np.mean([self._minhash.found(min(1.0, s)) for s, _ in pairs])),
        }
