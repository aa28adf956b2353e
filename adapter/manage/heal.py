"""Finding documents whose hash is missing or not their value's, and hashing them again.

The engine runs no pipeline for an `update` inside `_bulk` (unless `doc_as_upsert` is set), nor
where a client switches it off: the value changes and the hash does not.
"""

from ...errors import RefusedError
from ...ingest.documents import Document
from ..catalog import read_index
from ..engines.engine import Engine
from ..engines.names import check_index
from ..load.loader import load_documents


def heal_index(engine: Engine, index: str, *, dry_run: bool = False) -> int:
    """Hash stale documents again; gives how many were written.

    One that somebody writes meanwhile is left as it is then.

    Args:
        engine: where.
        index: which index.
        dry_run: only count.

    Raises:
        NotFoundError: no such index, or not one of ours.
        RefusedError: a document could not be written back.
    """
    engine.refresh(check_index(index))
    n = 0
    for field in read_index(engine, index).fields.values():
        if dry_run:
            n += field.count_stale(engine, index)
            continue
        hits = field.stale(engine, index)
        stale = (Document.of(hit, only_if=(hit["_seq_no"], hit["_primary_term"])) for hit in hits)
        report = load_documents(engine, index, stale, engine.run(field.hasher()))
        if report.refusals:
            first = report.refusals[0]
            raise RefusedError(
                f"{report.n_refused:,} of {report.n_settled:,} stale documents could not be "
                f"written back, the first is {first.id!r}: {first.reason}"
            )
        engine.refresh(index)
        n += report.n_indexed
    return n
