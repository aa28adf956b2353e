"""`meta4 embed words`."""

from pathlib import Path

import click

from ....errors import InputError
from ....ingest.documents import Document
from ....ingest.files.embeddings_file import embeddings_file
from ....ingest.texts import Corpus
from ....models.words import count_words, learn_words
from ..common import counting, json_option, print_json
from .embed import note_refused, out_option


@click.command("words")
@click.argument("corpus", type=click.Path(path_type=Path, dir_okay=False), nargs=-1, required=True)
@click.option("--field", help="Field of the text, where CORPUS is documents.")
@click.option(
    "--dims",
    type=click.IntRange(1),
    default=100,
    show_default=True,
    help="Dimensions of the vectors.",
)
@click.option(
    "--min-count",
    type=click.IntRange(1),
    default=5,
    show_default=True,
    help="How often a word has to occur to get a vector.",
)
@click.option(
    "--epochs",
    type=click.IntRange(1),
    default=10,
    show_default=True,
    help="How often CORPUS is gone through: more for a small one, fewer for a large one.",
)
@click.option(
    "--seed",
    type=click.IntRange(0, 2**32 - 1),
    default=0,
    show_default=True,
    help="The same seed, the same vectors.",
)
@out_option
@json_option
def words_command(
    corpus: tuple[Path, ...],
    field: str | None,
    dims: int,
    min_count: int,
    epochs: int,
    seed: int,
    out: Path,
    as_json: bool,
) -> None:
    """Learn a vector for each word of CORPUS, one or several files.

    CORPUS is text, a line a sentence or a paragraph; or, with --field, documents (.ndjson or
    .parquet). Words are runs of letters and digits, in lower case; words that stand in like company
    get vectors that are alike. In .ndjson a document has its word as `_id`, and as `count` how
    often it occurs. Documents without a text are said, and the exit code is 2.

    Example: meta4 embed words articles.txt --dims 100 --out words.ndjson

    Example: meta4 embed words articles.ndjson --field body --out words.npy
    """
    file = embeddings_file(out)
    _check_apart(corpus, out)
    texts = Corpus(corpus, field)
    with file:
        with counting("counting words", None, "texts") as advance:
            counts = count_words(texts, advance)
        note_refused(texts.refused)
        if not counts.n_words:
            raise InputError(f"{', '.join(map(str, corpus))}: no words in {counts.n_texts:,} texts")
        with counting("learning", counts.n_texts * epochs, "texts") as advance:
            learned = learn_words(
                texts,
                counts,
                dims=dims,
                min_count=min_count,
                epochs=epochs,
                seed=seed,
                advance=advance,
            )
        named = zip(learned.words, learned.counts, strict=True)
        documents = [Document(word, {"count": count}) for word, count in named]
        file.write(documents, learned.embeddings)
    n_refused, n = texts.n_refused, len(learned.words)
    n_rare = len(counts.words) - n
    if as_json:
        about = {"words": n, "dims": dims, "texts": counts.n_texts, "rare": n_rare}
        print_json({"file": str(out), **about, "refused": n_refused})
    else:
        rare = f", {n_rare:,} that occur less than {min_count} times left out" if n_rare else ""
        left = f", {n_refused:,} documents left out" if n_refused else ""
        click.echo(f"{n:,} words of {dims} dimensions are in {out}{rare}{left}")
    if n_refused:
        raise SystemExit(InputError.exit_code)


def _check_apart(corpus: tuple[Path, ...], out: Path) -> None:
    """Refuse a file that would be written while it is read.

    Raises:
        InputError: there is one.
    """
    written = [out, out.with_suffix(".txt")] if out.suffix == ".npy" else [out]
    for path in corpus:
        if path.resolve() in [one.resolve() for one in written]:
            raise InputError(f"{path} would be written while it is read; name another with --out")
