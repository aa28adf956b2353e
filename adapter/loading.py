"""Loading documents into a hashed index: batches, back-off, and a report of every refusal."""

import random
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from ..errors import UnreachableError
from ..ingest.bulk import Action, chunks
from ..ingest.documents import Document, Refusal
from ..ingest.hashing import DocumentHasher
from .engines.engine import Engine
from .engines.faults import is_read_only, root_cause

#: Asks the engine to run no pipeline: these documents are hashed already.
NO_PIPELINE = "_none"
_BATCH = 1000
_RETRIED = frozenset({429, 502, 503, 504})
_TRIES = 8
_FIRST_PAUSE, _LONGEST_PAUSE = 0.2, 10.0


@dataclass
class LoadReport:
    """What became of the documents.

    Attributes:
        n_indexed: acknowledged by the server.
        n_without_vector: of those, documents without the hashed field.
        refusals: all that were not indexed, with reasons.
        seconds: wall time.
    """

    n_indexed: int = 0
    n_without_vector: int = 0
    refusals: list[Refusal] = field(default_factory=list)
    seconds: float = 0.0

    def add(self, other: "LoadReport") -> None:
        """Count what came of further documents too."""
        self.n_indexed += other.n_indexed
        self.n_without_vector += other.n_without_vector
        self.refusals += other.refusals
        self.seconds += other.seconds

    @property
    def docs_per_s(self) -> float:
        """Indexed documents by second."""
        return self.n_indexed / self.seconds if self.seconds else 0.0


def load_documents(
    engine: Engine,
    index: str,
    documents: Iterable[Document | Refusal],
    hasher: DocumentHasher | None,
    *,
    advance: Callable[[int], None] = lambda _: None,
) -> LoadReport:
    """Index documents in bulk.

    A document whose id came before in the same input is refused: which of the two was meant
    cannot be known. Items that the server pushes back (429, 503) are sent again with growing,
    jittered pauses; ids make a repetition harmless.

    Args:
        engine: where.
        index: into which index.
        documents: what; refusals of the source pass into the report.
        hasher: hashes here and bypasses the index's pipeline; None leaves it to the server.
        advance: called with the number of documents finished since the last call.

    Raises:
        UnreachableError: the server was away for longer than the retries last.
        RefusedError: the whole request was refused, as by a read-only cluster.
    """
    report = LoadReport()
    started = time.monotonic()
    stream = _without_duplicates(documents, report)
    while batch := list(islice(stream, _BATCH)):
        if hasher is None:
            kept, n_refused = batch, 0
        else:
            hashed = hasher.hash(batch)
            kept, n_refused = hashed.documents, len(hashed.refusals)
            report.refusals += hashed.refusals
            report.n_without_vector += hashed.n_without_vector
        for actions in chunks(kept):
            _send(engine, index, actions, None if hasher is None else NO_PIPELINE, report)
            advance(len(actions))
        advance(n_refused)
    report.seconds = time.monotonic() - started
    return report


def _without_duplicates(
    documents: Iterable[Document | Refusal], report: LoadReport
) -> Iterator[Document]:
    seen: dict[str, str] = {}
    for document in documents:
        if isinstance(document, Refusal):
            report.refusals.append(document)
            continue
        if document.id is not None:
            if document.id in seen:
                reason = f"id {document.id!r} came before, at {seen[document.id]}; ids are unique"
                report.refusals.append(Refusal(document.id, document.origin, reason))
                continue
            seen[document.id] = document.origin
        yield document


def _send(
    engine: Engine,
    index: str,
    actions: list[Action],
    pipeline: str | None,
    report: LoadReport,
) -> None:
    pause = _FIRST_PAUSE
    for attempt in range(1, _TRIES + 1):
        last = attempt == _TRIES
        try:
            payload = b"".join(action.line for action in actions)
            items = engine.bulk(index, payload, pipeline=pipeline)
        except UnreachableError:
            if last:
                raise
        else:
            actions = _settle(actions, items, report, retry=not last)
            if not actions:
                return
        time.sleep(random.uniform(pause / 2, pause))
        pause = min(2 * pause, _LONGEST_PAUSE)


def _settle(
    actions: list[Action], items: list[dict[str, Any]], report: LoadReport, *, retry: bool
) -> list[Action]:
    """Count what was indexed, note what was refused, return what is worth another try."""
    again: list[Action] = []
    for action, item in zip(actions, items, strict=True):
        if item["status"] < 300:
            report.n_indexed += 1
            continue
        reason = root_cause(item)
        # A full disk answers 429 too, and waiting does not empty it.
        if retry and item["status"] in _RETRIED and not is_read_only(reason):
            again.append(action)
        else:
            report.refusals.append(Refusal(action.document.id, action.document.origin, reason))
    return again
