"""A search's answer, shown."""

from typing import Any

import click
import orjson

from .common import print_json, print_table


def show_hits(answer: dict[str, Any], as_json: bool) -> None:
    """Hits as a table or as JSON, and what was aggregated beside them."""
    hits = answer["hits"]["hits"]
    beside = {name: answer[name] for name in ("aggregations",) if name in answer}
    if as_json:
        shown = [
            {"id": hit["_id"], "score": hit["_score"], "source": hit.get("_source", {})}
            for hit in hits
        ]
        print_json({"took_ms": answer["took"], "hits": shown, **beside})
        return
    print_table(
        ["", "id", "score"],
        [[str(rank), hit["_id"], _score(hit["_score"])] for rank, hit in enumerate(hits, 1)],
    )
    if beside:
        click.echo(orjson.dumps(beside, option=orjson.OPT_INDENT_2).decode())


def _score(score: float | None) -> str | None:
    """None where the order is another."""
    return None if score is None else f"{score:.4f}"
