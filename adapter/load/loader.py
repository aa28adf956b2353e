"""Loading documents into a hashed index: batches, bounded memory, a report of every refusal."""

import time
from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from itertools import islice
from types import MappingProxyType

from ...ingest.bulk import MAX_BYTES, Action, give_id, to_action
from ...ingest.documents import Document, Refusal, value_at
from ...ingest.hashers import HashedBatch, Hasher
from ...ingest.id_table import IdTable
from ..engines.engine import Engine
from ..engines.names import check_index
from .bulk_sender import BulkSender, Outcome

#: Asks the engine to run no pipeline: these documents are hashed already.
HASHED = {"pipeline": "_none"}
#: Documents of the first batch, before their size is known, and of any.
_FIRST_BATCH, _BATCH = 100, 1000
#: Refusals that a report holds.
REFUSALS_KEPT = 1000


@dataclass
class LoadReport:
    """What became of the documents.

    Attributes:
        n_settled: documents of the input, from its beginning, that were indexed or refused.
        n_indexed: acknowledged by the server, in this run.
        n_overtaken: not written, as somebody else had written them meanwhile.
        n_without_vector: documents without the hashed field.
        n_cut: vectors that were made of the beginning of a text.
        n_refused: not indexed, in this run.
        refusals: the first `REFUSALS_KEPT` of these, with reasons.
        seconds: wall time.
    """

    n_settled: int = 0
    n_indexed: int = 0
    n_overtaken: int = 0
    n_without_vector: int = 0
    n_cut: int = 0
    n_refused: int = 0
    refusals: list[Refusal] = field(default_factory=list)
    seconds: float = 0.0

    def add(self, other: "LoadReport") -> None:
        """Count what came of further documents too."""
        self.n_settled += other.n_settled
        self.n_indexed += other.n_indexed
        self.n_overtaken += other.n_overtaken
        self.n_without_vector += other.n_without_vector
        self.n_cut += other.n_cut
        self.n_refused += other.n_refused
        self.refusals += other.refusals[: REFUSALS_KEPT - len(self.refusals)]
        self.seconds += other.seconds

    @property
    def docs_per_s(self) -> float:
        """Indexed documents by second."""
        return self.n_indexed / self.seconds if self.seconds else 0.0


@dataclass(frozen=True)
class _Batch:
    """Documents on their way."""

    n: int
    n_without_vector: int
    n_cut: int
    refusals: list[Refusal]
    outcome: Future[Outcome]


def load_documents(
    engine: Engine,
    index: str,
    documents: Iterable[Document | Refusal],
    hasher: Hasher | None,
    *,
    hashed: Collection[str] = (),
    n_settled: int = 0,
    params: Mapping[str, str] = MappingProxyType({}),
    refused: Callable[[Refusal], None] = lambda _: None,
    settled: Callable[[LoadReport], None] = lambda _: None,
    advance: Callable[[int], None] = lambda _: None,
) -> LoadReport:
    """Index documents in bulk, several requests side by side, as many as the cluster takes.

    Memory is bounded, whatever the input's size. A document whose id came before in the same
    input is refused: which of the two was meant cannot be known. What the server pushes back
    (429, 502, 503, 504), a request that is cut off or has no answer in time are sent again with
    growing, jittered pauses, each document until it is taken or refused; ids make a repetition
    harmless.

    Args:
        engine: where.
        index: into which index.
        documents: what; refusals of the source pass into the report.
        hasher: hashes here and bypasses the index's pipeline; None leaves it to the server.
        hashed: fields that the server hashes: documents without one are counted.
        n_settled: documents at the beginning that an earlier run settled: they are passed over.
        params: of every bulk request.
        refused: called with each refusal, batch by batch.
        settled: called with the report as it stands after each batch.
        advance: called with the number of documents finished since the last call.

    Raises:
        UnreachableError, PushedBackError: nothing was taken for `sending.PATIENCE` seconds.
        RefusedError: no fault of the documents: no rights, or a block on writes, as that of a
            full disk.
    """
    check_index(index)
    report = LoadReport(n_settled)
    started = time.monotonic()

    def settle(batch: _Batch) -> None:
        outcome = batch.outcome.result()
        refusals = batch.refusals + outcome.refusals
        for refusal in refusals:
            refused(refusal)
        own = LoadReport(
            batch.n,
            outcome.n_indexed,
            outcome.n_overtaken,
            batch.n_without_vector,
            batch.n_cut,
            len(refusals),
            refusals,
        )
        report.add(own)
        report.seconds = time.monotonic() - started
        settled(report)
        advance(batch.n)

    waiting: deque[_Batch] = deque()
    counted = _Unhashed(hashed) if hasher is None else hasher
    none = {} if hasher is None else HASHED
    with IdTable() as seen, BulkSender(engine, index, {**params, **none}) as sender:
        stream = iter(documents)
        for passed in _batches(islice(stream, n_settled), lambda: _BATCH):
            _without_duplicates(seen, passed)
            advance(len(passed))
        sizes = _Sizes()
        for batch in _batches(stream, lambda: sizes.batch):
            waiting.append(_prepare(batch, seen, counted, sender, sizes))
            while len(waiting) >= sender.throttle.limit + 1:  # one is made while others are sent
                settle(waiting.popleft())
        while waiting:
            settle(waiting.popleft())
    report.seconds = time.monotonic() - started
    return report


def _prepare(
    batch: list[Document | Refusal],
    seen: IdTable,
    hasher: Hasher,
    sender: BulkSender,
    sizes: "_Sizes",
) -> _Batch:
    kept, refusals = _without_duplicates(seen, batch)
    kept, unhashed, n_without_vector, n_cut = hasher.hash(kept)
    refusals += unhashed
    actions: list[Action] = []
    for document in kept:
        action = to_action(document)
        if isinstance(action, Refusal):
            refusals.append(action)
        else:
            actions.append(action)
    sizes.see(actions)
    return _Batch(len(batch), n_without_vector, n_cut, refusals, sender.send(actions))


class _Unhashed:
    """Leaves documents to the server's pipeline, and counts as a hasher does."""

    def __init__(self, fields: Collection[str]) -> None:
        self._fields = fields

    def hash(self, documents: Iterable[Document]) -> HashedBatch:
        """See `HasherChain.hash`."""
        kept = list(documents)
        missing = (
            sum(value_at(document.source, field) is None for document in kept)
            for field in self._fields
        )
        return HashedBatch(kept, [], max(missing, default=0))


class _Sizes:
    """How many documents make a request of good size, by the ones before."""

    def __init__(self) -> None:
        self.batch = _FIRST_BATCH

    def see(self, actions: list[Action]) -> None:
        """Learn from a batch."""
        if actions:
            mean = sum(len(action.line) for action in actions) / len(actions)
            self.batch = max(1, min(_BATCH, int(MAX_BYTES / mean)))


def _without_duplicates(
    seen: IdTable, batch: list[Document | Refusal]
) -> tuple[list[Document], list[Refusal]]:
    """Those whose id has not come before, and the refusals of the others; all have ids then."""
    refusals = [item for item in batch if isinstance(item, Refusal)]
    documents = [item for item in batch if isinstance(item, Document)]
    for document in documents:
        give_id(document)
    before = seen.get([str(document.id) for document in documents])
    new: dict[str, bytes] = {}
    kept: list[Document] = []
    for document in documents:
        identity = str(document.id)
        first = before.get(identity, new.get(identity))
        if first is None:
            new[identity] = document.origin.encode()
            kept.append(document)
        else:
            reason = f"id {identity!r} came before, at {first.decode()}; ids are unique"
            refusals.append(Refusal.of(document, reason))
    seen.put(new.items())
    return kept, refusals


def _batches(
    stream: Iterable[Document | Refusal], size: Callable[[], int]
) -> Iterator[list[Document | Refusal]]:
    items = iter(stream)
    while batch := list(islice(items, size())):
        yield batch
