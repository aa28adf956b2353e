"""All pairs of an index's documents that are at least so similar.

The whole index is read once, as it is at that moment: vectors go into a temporary file, ids and
what is known of each document's buckets into memory.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import NamedTuple

import numpy as np

from ....errors import EmbeddingError, InputError
from ....ingest.documents import value_at
from ....mappings.spec import IndexSpec
from ....models.embeddings import (
    Embeddings,
    Progress,
    as_embedding,
    unit_float32,
)
from ....models.probing.bucket_rows import BucketRows, in_file
from ....models.probing.directory import bucket_id
from ....models.probing.pair_recall import PairRecall
from ....models.probing.pair_search import PairSearch, search_for_pairs
from ...engines.calls import Json
from ...engines.engine import Engine
from .tuning.sample import first_of

#: Hits of a page.
_PAGE = 1_000


class Routed(NamedTuple):
    """A document that lies by a routing of its own, where another may have its id."""

    id: str
    routing: str


#: What a document is told apart by.
Name = str | Routed


class Duplicate(NamedTuple):
    """Two documents, in the order of their ids, and the cosine of their vectors."""

    a: Name
    b: Name
    cosine: float


@dataclass
class Read:
    """What was read of an index.

    Attributes:
        ids: of documents that can be compared.
        buckets: of each, -1 where the index's model did not hash it.
        n_without: documents that have no vector.
        n_left_out: documents whose vector is none that can be compared.
        fault: of the first of these.
    """

    ids: list[Name] = field(default_factory=list)
    buckets: list[int] = field(default_factory=list)
    n_without: int = 0
    n_left_out: int = 0
    fault: str = ""


class Duplicates:
    """Pairs of an index's documents: an iterable of `Duplicate`, none of which comes twice.

    Attributes:
        min_cosine: how similar they are.
        read: what was compared, and what was not.
        recall: the share of all such pairs that is found, as it was measured.
        share_compared: of all pairs; those that are come upon from both sides count twice.
    """

    def __init__(self, read: Read, search: PairSearch, min_cosine: float) -> None:
        self.min_cosine = min_cosine
        self.read = read
        self.recall: PairRecall = search.found
        self.share_compared = search.join.share
        self._join = search.join

    def __iter__(self) -> Iterator[Duplicate]:
        """All pairs, as they are found."""
        return self.pairs()

    @property
    def is_exact(self) -> bool:
        """Whether every document is compared with every other."""
        return self._join.looked_into is None

    def pairs(self, advance: Callable[[int], None] = lambda _: None) -> Iterator[Duplicate]:
        """All pairs; `advance` is called with the documents done since the last call."""
        ids, order = self.read.ids, self._join.rows.order
        for found in self._join.pairs(self.min_cosine, advance):
            of_a, of_b = order[found.a].tolist(), order[found.b].tolist()
            for i, j, cosine in zip(of_a, of_b, found.cosines.tolist(), strict=True):
                a, b = sorted((ids[i], ids[j]), key=_in_order)
                yield Duplicate(a, b, cosine)


def _in_order(name: Name) -> tuple[str, str]:
    return (name, "") if isinstance(name, str) else name


def groups_of(pairs: Iterable[Duplicate]) -> list[list[Name]]:
    """Ids that hang together by pairs, in their order; the largest groups first."""
    above: dict[Name, Name] = {}

    def root(name: Name) -> Name:
        while (parent := above.setdefault(name, name)) != name:
            above[name] = name = above[parent]
        return name

    for a, b, _ in pairs:
        above[root(a)] = root(b)
    groups = defaultdict[Name, list[Name]](list)
    for name in sorted(above, key=_in_order):
        groups[root(name)].append(name)
    return sorted(groups.values(), key=lambda group: (-len(group), _in_order(group[0])))


def find_duplicates(
    engine: Engine,
    index: str,
    spec: IndexSpec,
    min_cosine: float,
    recall: float,
    progress: Progress,
) -> Duplicates:
    """Read an index, and see how its pairs are found; what is found then is its iterator's work.

    Args:
        engine: where.
        index: one index, or an alias of one.
        spec: of the field.
        min_cosine: above 0, 1 at most.
        recall: the share of all pairs that is to be found; 1 compares everything.
        progress: called with (stage, done, total).

    Raises:
        InputError: a cosine or recall that cannot be; no document's vector can be read.
    """
    for name, value in (("min_cosine", min_cosine), ("recall", recall)):
        if not 0.0 < value <= 1.0:
            raise InputError(f"{name}: expected more than 0 and 1 at most, got {value:g}")
    read = Read()
    rows = in_file(_vectors(engine, index, spec, read, progress), spec.dims)
    if read.n_left_out and not read.ids:
        raise InputError(
            f"{index}: none of {read.n_left_out:,} vectors can be read; the first: {read.fault}"
        )
    by_bucket = BucketRows.of(rows, np.asarray(read.buckets, dtype=np.int64))
    return Duplicates(read, search_for_pairs(by_bucket, min_cosine, recall, progress), min_cosine)


def _vectors(
    engine: Engine, index: str, spec: IndexSpec, read: Read, progress: Progress
) -> Iterator[Embeddings]:
    """Directions of the documents' vectors, page by page; the rest goes into `read`."""
    has_vector: Json = {"exists": {"field": spec.field}}
    n = engine.count(index, has_vector)
    read.n_without = engine.count(index) - n
    paths = [spec.field, spec.fields.bucket, spec.fields.model]
    body = {"query": has_vector, "_source": paths, "sort": ["_doc"]}
    done, stream = 0, engine.scan(index, body, page=_PAGE)
    while hits := list(islice(stream, _PAGE)):
        vectors = []
        for hit in hits:
            source = hit.get("_source", {})
            what = f"document {hit['_id']!r}"
            try:
                vectors.append(as_embedding(value_at(source, spec.field), spec.dims, what=what))
            except EmbeddingError as error:
                read.n_left_out += 1
                read.fault = read.fault or str(error)
                continue
            routing = hit.get("_routing")
            read.ids.append(hit["_id"] if routing is None else Routed(hit["_id"], routing))
            read.buckets.append(_home(source, spec))
        if vectors:
            yield unit_float32(np.stack(vectors))
        done += len(hits)
        progress("documents read", done, n)


def _home(source: Json, spec: IndexSpec) -> int:
    """A document's first bucket; -1 where another model hashed it, or none."""
    if value_at(source, spec.fields.model) != str(spec.model):
        return -1
    bucket = bucket_id(first_of(value_at(source, spec.fields.bucket)), spec.n_buckets)
    return -1 if bucket is None else bucket
