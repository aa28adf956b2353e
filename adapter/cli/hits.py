"""A search's answer, shown."""

from collections.abc import Sequence
from textwrap import shorten
from typing import Any

import click
import orjson

from ...ingest.documents import value_at
from .common import print_json, print_table

#: Characters of a field.
_SHOWN = 80


def show_hits(answer: dict[str, Any], as_json: bool, fields: Sequence[str] = ()) -> None:
    """Hits as a table or as JSON, and what was aggregated beside them.

    Args:
        answer: of the engine.
        as_json: whole documents.
        fields: that a table has beside ids and scores, as much of each as a line shows.
    """
    hits = answer["hits"]["hits"]
    beside = {name: answer[name] for name in ("aggregations",) if name in answer}
    if as_json:
        shown = [
            {"id": hit.get("_id"), "score": hit.get("_score"), "source": hit.get("_source", {})}
            for hit in hits
        ]
        print_json({"took_ms": answer["took"], "hits": shown, **beside})
        return
    rows = [
        [
            str(rank),
            hit.get("_id"),
            _score(hit.get("_score")),
            *_texts(hit.get("_source", {}), fields),
        ]
        for rank, hit in enumerate(hits, 1)
    ]
    print_table(["", "id", "score", *fields], rows)
    if beside:
        click.echo(orjson.dumps(beside, option=orjson.OPT_INDENT_2).decode())


def _texts(source: dict[str, Any], fields: Sequence[str]) -> list[str]:
    values = [value_at(source, path) for path in fields]
    return ["" if one is None else shorten(str(one), _SHOWN, placeholder="…") for one in values]


def _score(score: float | None) -> str | None:
    """None where the order is another."""
    return None if score is None else f"{score:.4f}"
