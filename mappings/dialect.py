"""What differs between engines, as pure functions from values to bodies."""

from typing import Any, Protocol

from .spec import IndexSpec

Body = dict[str, Any]


class Dialect(Protocol):
    """How one engine writes mappings, settings and exact vector queries.

    Every scoring query gives (1 + cosine) / 2, in [0, 1].
    """

    def index_body(
        self, spec: IndexSpec, *, shards: int, replicas: int, pipeline: str | None
    ) -> Body:
        """Settings and mapping of `PUT /index`."""

    def knn(self, spec: IndexSpec, vector: list[float], k: int, within: Body | None) -> Body:
        """The k nearest inside `within`, exactly, by the engine's own vector query."""

    def script(self, spec: IndexSpec, vector: list[float], within: Body | None) -> Body:
        """All documents of `within` that have a vector, scored by a script."""

    def hamming(self, spec: IndexSpec, code: list[int], within: Body | None) -> Body:
        """All documents of `within` that have a code, scored by bits in common, in [0, 1]."""

    def three_cos_mul(
        self, spec: IndexSpec, a: list[float], b: list[float], c: list[float], within: Body | None
    ) -> Body:
        """Scored by 3CosMul of three vectors (Levy & Goldberg, CoNLL 2014, equation 4)."""


#: Keeps 3CosMul's denominator from zero: ε of Levy & Goldberg, section 6.
EPSILON = 0.001
