"""`meta4 duplicates`."""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

import click
import orjson

from ...errors import InputError
from ..client.meta4 import Meta4
from ..fields.vectors.duplicates import Duplicate, Duplicates, Name, groups_of
from .common import (
    counting,
    engine_at,
    field_option,
    json_option,
    notes,
    print_json,
    print_table,
    stages,
    url_option,
)


@click.command("duplicates")
@click.argument("index")
@click.option(
    "--min-cosine",
    type=click.FloatRange(0.0, 1.0, min_open=True),
    required=True,
    help="How similar two documents must be.",
)
@field_option
@click.option(
    "--out",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write the lines here, in place of standard output.",
)
@click.option("--groups", is_flag=True, help="Lines of documents that hang together by pairs.")
@click.option(
    "--recall",
    type=click.FloatRange(0.0, 1.0, min_open=True),
    default=0.99,
    show_default=True,
    help="Share of all pairs to find; 1 compares every document with every other.",
)
@url_option
@json_option
def duplicates_command(
    index: str,
    min_cosine: float,
    field: str | None,
    out: Path | None,
    groups: bool,
    recall: float,
    url: str | None,
    as_json: bool,
) -> None:
    """All pairs of documents of INDEX that are almost the same, each once, as lines of JSON.

    A line is {"a": ID, "b": ID, "cosine": NUMBER}, with --groups {"ids": [ID, …]}, the largest
    group first; of a document with a routing of its own {"id": ID, "routing": ROUTING} stands for
    its ID. Each document is compared with those in the buckets nearest to it; what share of
    all pairs that finds is measured on documents drawn at random, and told in the end. The index
    is read as searches see it when the command begins; its vectors take up to three times their
    size in temporary files (TMPDIR says where).

    Example: meta4 duplicates words --min-cosine 0.95 --out pairs.ndjson
    """
    if as_json and out is None:
        raise InputError("--json prints figures where the pairs would go; give these a file: --out")
    with _lines(out) as file:  # before the index is read: it may be that nothing can be written
        with stages() as progress:
            duplicates = Meta4(engine_at(url)).duplicates(
                index=index, min_cosine=min_cosine, field=field, recall=recall, progress=progress
            )
        figures = _write(duplicates, file, groups)
    if as_json:
        print_json(figures)
    elif out is not None:
        print_table(list(figures), [list(figures.values())])
    for note in _notes(duplicates, recall):
        notes.print(note)


@contextmanager
def _lines(out: Path | None) -> Iterator[TextIO]:
    """Where lines go; a file is there once it is whole."""
    if out is None:
        yield sys.stdout
        return
    if out.exists() and not out.is_file():  # a pipe, or /dev/null
        with out.open("w", encoding="utf-8") as file:
            yield file
        return
    out = out.resolve()  # what a link names is replaced, not the link
    beside = out.with_name(f".{out.name}.{os.getpid()}")
    try:
        with beside.open("w", encoding="utf-8") as file:
            yield file
        beside.replace(out)
    finally:
        beside.unlink(missing_ok=True)


def _write(duplicates: Duplicates, file: TextIO, groups: bool) -> dict[str, Any]:
    """Find pairs and write them, or groups of them; gives figures."""
    n_pairs, n_documents = 0, len(duplicates.read.ids)
    figures: dict[str, Any] = {"documents": n_documents}

    def pairs(advance: Callable[[int], None]) -> Iterator[Duplicate]:
        nonlocal n_pairs
        for pair in duplicates.pairs(advance):
            n_pairs += 1
            yield pair

    with counting("comparing", n_documents, "documents") as advance:
        if groups:
            found = groups_of(pairs(advance))
            figures["groups"] = len(found)
            for ids in found:
                file.write(_line({"ids": [_told(one) for one in ids]}))
        else:
            for pair in pairs(advance):
                file.write(_line({"a": _told(pair.a), "b": _told(pair.b), "cosine": pair.cosine}))
    return figures | {"pairs": n_pairs, **_figures(duplicates)}


def _told(name: Name) -> Any:
    return name if isinstance(name, str) else name._asdict()


def _line(value: dict[str, Any]) -> str:
    return orjson.dumps(value, option=orjson.OPT_APPEND_NEWLINE).decode()


def _figures(duplicates: Duplicates) -> dict[str, Any]:
    found, read = duplicates.recall, duplicates.read
    return {
        "recall": found.recall,
        "recall_at_least": found.at_least,
        "compared": duplicates.share_compared,
        "without_vector": read.n_without,
        "left_out": read.n_left_out,
    }


def _notes(duplicates: Duplicates, recall: float) -> Iterator[str]:
    """What was done, in words."""
    found, read = duplicates.recall, duplicates.read
    drawn = f"{found.n_documents:,} drawn documents"
    if duplicates.is_exact:
        those = "every document that could be read" if read.n_left_out else "every document"
        yield f"{those} was compared with every other: all pairs are found" + (
            "" if recall == 1.0 else " (buckets would have saved too little)"
        )
    elif found.recall is None:
        yield f"no pair among those of {drawn}: what share is found is not known; see --recall 1"
    else:
        yield (
            f"recall {found.recall:.4f}, at least {found.at_least:.4f} (95% sure), of "
            f"{found.n_pairs:,} pairs of {drawn}; {duplicates.share_compared:.2%} of all pairs "
            f"were compared"
        )
    if read.n_without:
        yield f"{read.n_without:,} documents have no vector, and no duplicates"
    if read.n_left_out:
        yield f"{read.n_left_out:,} documents were left out; the first: {read.fault}"
