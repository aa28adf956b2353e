"""What a field of texts promises: near-duplicates, as often as its bands' formula says."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from ....errors import InputError
from ....ingest.files.sources import read_texts
from ....mappings.texts import TextSpec
from ....models.kinds.minhash import MinHashSpec
from ...engines.calls import Json
from ...engines.engine import Engine
from ..promise import Basis, Judge, Judged, Promise, Question, Table, TuneOptions
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
        options: TuneOptions,
        progress: Callable[[int], None] = lambda _: None,
    ) -> MinHashSpec:
        """See `Promise`: nothing is measured, as a formula says it."""
        if any(option is not None for option in vars(options).values()):
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
        #: Of each pair of near texts: its similarity, whether it was found, and one of its ids.
        self._pairs: list[tuple[float, bool, str]] = []
        self._alike = DisjointSets()

    def add(self, asked: Question, found: Sequence[Json], truth: Sequence[Json]) -> None:
        """See `Judge`."""
        ids = {hit["_id"] for hit in found}
        for hit in truth:
            if hit["_score"] < SHOWN[0] - SCORE_TOLERANCE:
                continue
            self._pairs.append((float(hit["_score"]), hit["_id"] in ids, hit["_id"]))
            if asked.id is not None:
                self._alike.join(asked.id, hit["_id"])

    def judged(self) -> Judged:
        """See `Judge`; details by similarity, from each that is shown up to the next."""
        ends = [*SHOWN[1:], np.inf]
        details = []
        for low, high in zip(SHOWN, ends, strict=True):
            part = [pair for pair in self._pairs if low <= pair[0] < high]
            shares = self._of(part) if part else dict.fromkeys(("found", "promised"))
            details.append({"similarity_from": low, "pairs": len(part), **shares})
        whole = self._of(self._pairs)
        return Judged(len(self._pairs), whole["found"], self._error(), whole["promised"], details)

    def _error(self) -> float:
        """Standard error of the share found, about the one promised.

        Texts that are all alike share shingles, and so their luck with the hash functions: what is
        off is summed over each group of them (the sandwich estimator of clustered data; Liang &
        Zeger, Biometrika 1986).
        """
        off: dict[str, float] = {}
        for similarity, found, identity in self._pairs:
            group = self._alike.group(identity)
            promised = self._minhash.found(min(1.0, similarity))
            off[group] = off.get(group, 0.0) + found - promised
        return float(np.linalg.norm(list(off.values()))) / max(1, len(self._pairs))

    def _of(self, pairs: Sequence[tuple[float, bool, str]]) -> Json:
        """Of pairs of documents the share found, and that promised."""
        if not pairs:
            return {"found": 1.0, "promised": 1.0}
        return {
            "found": float(np.mean([found for _, found, _ in pairs])),
            "promised": float(np.mean([self._minhash.found(min(1.0, s)) for s, _, _ in pairs])),
        }


class DisjointSets:
    """Ids in groups that can be joined (Tarjan, Journal of the ACM 22, 1975)."""

    def __init__(self) -> None:
        self._parent: dict[str, str] = {}

    def group(self, identity: str) -> str:
        """One id of the group, the same for all of it."""
        parent = self._parent.get(identity, identity)
        while parent != identity:
            above = self._parent.get(parent, parent)
            self._parent[identity] = above
            identity, parent = parent, above
        return identity

    def join(self, one: str, other: str) -> None:
        """Make one group of two."""
        self._parent[self.group(one)] = self.group(other)
