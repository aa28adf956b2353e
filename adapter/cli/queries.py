"""`meta4 similar`, `analogy`, `explain` and `eval`."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import orjson

from ...errors import InputError
from ...models.embeddings import embedding_fault
from ..catalog import read_field
from ..client.meta4 import Meta4
from ..measure.evaluation import evaluate_index
from .common import (
    F,
    counting,
    engine_at,
    field_option,
    json_option,
    notes,
    print_json,
    print_table,
    query_options,
    read_queries,
    url_option,
)
from .hits import show_hits

_QUERIES = 200
_k_option = click.option("-k", "k", type=int, default=10, show_default=True, help="Results wanted.")
_index_option = click.option("--index", required=True, help="The hashed index.")
_filter_option = click.option("--filter", "within", help="A query in JSON that narrows the search.")


def _recall_option(default: float) -> Callable[[F], F]:
    return click.option(
        "--recall", type=float, default=default, show_default=True, help="Recall wanted."
    )


@click.command("similar")
@click.argument("documents", nargs=-1, metavar="[DOCUMENT]...")
@click.option("--unlike", multiple=True, metavar="ID", help="A document not to be like.")
@click.option("--vector", help="A vector in JSON instead of a document's id.")
@click.option(
    "--text",
    help="A text instead of a document's id, where the index is of texts or has an encoder.",
)
@_index_option
@field_option
@_k_option
@_recall_option(0.95)
@_filter_option
@url_option
@json_option
def similar_command(
    documents: tuple[str, ...],
    unlike: tuple[str, ...],
    vector: str | None,
    text: str | None,
    index: str,
    field: str | None,
    k: int,
    recall: float,
    within: str | None,
    url: str | None,
    as_json: bool,
) -> None:
    """The documents most similar to DOCUMENT (an id), to several, to a vector, or to a text.

    Of several it is their mean, less a part of what --unlike names; none of these is an answer.

    In an index of texts these are its near-duplicates, scored by Jaccard similarity.

    Example: meta4 similar berlin --index words -k 5

    Example: meta4 similar berlin hamburg --unlike munich --index words
    """
    if sum((bool(documents), vector is not None, text is not None)) != 1:
        raise InputError("give either documents' ids, --vector or --text")
    if unlike and not documents:
        raise InputError("--unlike takes away from documents that are liked; give their ids")
    operand: dict[str, Any] = {"text": text}
    if vector is not None:
        operand = {"vector": _vector(vector)}
    elif unlike or len(documents) > 1:
        operand = {"like": [{"id": one} for one in documents]}
        operand |= {"unlike": [{"id": one} for one in unlike]} if unlike else {}
    elif documents:
        operand = {"id": documents[0]}
    meta4 = Meta4(engine_at(url))
    clause = {**operand, "k": k, "recall": recall}
    _answer(meta4, index, field, "meta4_similar", clause, within, as_json)


@click.command("analogy")
@click.argument("a")
@click.argument("b")
@click.argument("c")
@_index_option
@field_option
@_k_option
@_recall_option(0.99)
@click.option(
    "--method",
    type=click.Choice(["3cosadd", "3cosmul"]),
    default="3cosadd",
    show_default=True,
    help="How the answer is scored.",
)
@_filter_option
@url_option
@json_option
def analogy_command(
    a: str,
    b: str,
    c: str,
    index: str,
    field: str | None,
    k: int,
    recall: float,
    method: str,
    within: str | None,
    url: str | None,
    as_json: bool,
) -> None:
    """A is to B as C is to ?; all three are ids of documents.

    Example: meta4 analogy berlin germany paris --index words -k 3
    """
    clause = {
        "a": {"id": a},
        "b": {"id": b},
        "c": {"id": c},
        "k": k,
        "recall": recall,
        "method": method,
    }
    _answer(Meta4(engine_at(url)), index, field, "meta4_analogy", clause, within, as_json)


@click.command("explain")
@click.argument("body", type=click.File("rb"))
@_index_option
@url_option
@json_option
def explain_command(body: Any, index: str, url: str | None, as_json: bool) -> None:
    """Show what a search BODY (a JSON file, or - for standard input) would look into, and why.

    Example: echo '{"query": {"meta4_similar": {"embedding": {"id": "berlin"}}}}' |
    meta4 explain - --index words
    """
    parsed = _parse(body.read(), "the body")
    if not isinstance(parsed, dict):
        raise InputError("the body: expected a JSON object")
    shown = Meta4(engine_at(url)).explain(index=index, body=parsed)
    if as_json:
        print_json(shown)
        return
    final = shown.pop("body")
    clauses = shown.pop("clauses")
    print_table(["", ""], [[key, str(value)] for key, value in shown.items()])
    for clause in clauses:
        probed = clause.pop("buckets")
        rows = [[key, str(value)] for key, value in clause.items()]
        print_table(["", ""], [*rows, ["buckets", " ".join(probed[:40])]])
    click.echo(orjson.dumps(final, option=orjson.OPT_INDENT_2).decode())


@click.command("eval")
@click.argument("index")
@field_option
@query_options(least=1, default=_QUERIES)
@click.option("-k", "k", type=int, default=25, show_default=True, help="Results wanted.")
@click.option(
    "--recall",
    "recalls",
    type=float,
    multiple=True,
    help="Recall asked for; may be given several times. Default: 0.95 and 0.99.",
)
@_filter_option
@url_option
@json_option
def eval_command(
    index: str,
    field: str | None,
    queries: int | None,
    query_file: Path | None,
    from_searches: bool,
    k: int,
    recalls: tuple[float, ...],
    within: str | None,
    url: str | None,
    as_json: bool,
) -> None:
    """Measure recall, documents looked into and latency against the engine's exact scan."""
    condition = _condition(within)
    meta4 = Meta4(engine_at(url))
    hashed = read_field(meta4.engine, index, field)
    given, n_queries = read_queries(
        query_file, from_searches, queries or _QUERIES, hashed, meta4.engine, index
    )
    measured = []
    for recall in recalls or hashed.promise.recalls:
        asked = index if recall is None else f"recall {recall:g}"
        with counting(asked, n_queries, "queries") as progress:
            measured.append(
                evaluate_index(
                    meta4,
                    index,
                    field=field,
                    n_queries=n_queries,
                    given=given,
                    k=k,
                    recall=recall,
                    within=condition,
                    progress=progress,
                )
            )
    results = [one.as_dict() for one in measured]
    if as_json:
        print_json(results)
        return
    columns = [
        "recall_asked",
        "recall_at_k",
        "recall_worst",
        "docs_looked_into",
        "p50_ms",
        "p95_ms",
        "exact_p50_ms",
        "exact_p95_ms",
    ]
    print_table(columns, [[result[column] for column in columns] for result in results])
    for result in results:
        if result["details"]:
            headers = list(result["details"][0])
            print_table(headers, [list(part.values()) for part in result["details"]])
    if measured[0].lack is not None:
        notes.print(measured[0].lack)


def _answer(
    meta4: Meta4,
    index: str,
    field: str | None,
    name: str,
    clause: dict[str, Any],
    within: str | None,
    as_json: bool,
) -> None:
    condition = _condition(within)
    asked = meta4.engine.run(meta4.core.catalog.get(index)).field(field)
    spec = asked.spec
    query: dict[str, Any] = {name: {spec.field: clause}}
    if condition is not None:
        query = {"bool": {"must": [query], "filter": [condition]}}
    body = {"query": query, "_source": {"excludes": [spec.field, spec.fields.root]}}
    answer = meta4.search(index=index, body=body)
    show_hits(answer, as_json, [path for path in asked.hashed_by if path != spec.field])


def _condition(text: str | None) -> dict[str, Any] | None:
    """What `--filter` says."""
    if text is None:
        return None
    query = _parse(text, "--filter")
    if not isinstance(query, dict):
        raise InputError(
            f'--filter: expected a query, as in {{"term": {{"lang": "de"}}}}, got {text[:60]}'
        )
    return query


def _vector(text: str) -> list[float]:
    """What `--vector` says."""
    vector = _parse(text, "--vector")
    if not isinstance(vector, list) or not vector:
        raise InputError(f"--vector: expected numbers, as in [0.25, -1], got {text[:60]}")
    fault = embedding_fault(vector, len(vector))
    if fault is not None:
        raise InputError(f"--vector: {fault}")
    return vector


def _parse(text: str | bytes, what: str) -> Any:
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise InputError(f"{what}: not JSON ({error})") from error
