"""Finding documents whose hash is missing or not their value's, and hashing them again.

The engine runs no pipeline for an `update` inside `_bulk` (unless `doc_as_upsert` is set), nor
where a client switches it off: the value changes and the hash does not.
"""

from collections.abc import Iterator
from typing import Any

from ...errors import RefusedError
from ...ingest.documents import Document
from ..catalog import read_index
from ..engines.engine import Engine
from ..engines.names import check_index
from ..engines.place import Place
from ..fields.field import Field
from ..load.loader import load_documents
from .others import OF_WRITES, check_nothing_in_the_way
from .whole import check_source, check_value

Json = dict[str, Any]


def heal_index(engine: Engine, index: str, *, dry_run: bool = False) -> int:
    """Hash stale documents again; gives how many were written.

    One that somebody writes meanwhile is left as it is then.

    Args:
        engine: where.
        index: which index.
        dry_run: only count.

    Raises:
        NotFoundError: no such index, or not one of ours.
        InputError: documents that would lose something by being written again, or go through a
            pipeline of others twice.
        RefusedError: a document could not be written back.
    """
    engine.refresh(check_index(index))
    if not dry_run:
        place = Place(engine, index)
        check_source(place)
        check_nothing_in_the_way(place, OF_WRITES)
    n = 0
    for field in read_index(engine, index).fields.values():
        if dry_run:
            n += field.count_stale(engine, index)
            continue
        hits = _whole(Place(engine, index), field)
        stale = (Document.of(hit, only_if=(hit["_seq_no"], hit["_primary_term"])) for hit in hits)
        hasher = engine.run(field.hasher(written_before=True))
        report = load_documents(engine, index, stale, hasher)
        if report.refusals:
            first = report.refusals[0]
            raise RefusedError(
                f"{report.n_refused:,} of {report.n_settled:,} stale documents could not be "
                f"written back, the first is {first.id!r}: {first.reason}"
            )
        engine.refresh(index)
        n += report.n_indexed
    return n


def _whole(place: Place, field: Field) -> Iterator[Json]:
    """Stale documents.

    Raises:
        InputError: one whose value does not come back; it is not written.
    """
    for hit in field.stale(place.engine, place.index):
        check_value(place, hit, *field.hashed_by)
        yield hit
