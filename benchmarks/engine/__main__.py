"""All GloVe words in one node: what a request, a load and a byte cost, ours and the engine's own.

Each of the engine's own indexes is asked with as little as it needs for the recall that ours
reaches, found on queries that are not timed; sides are asked in turn, three rounds, of which the
median counts. Results of a part take the place of what it had in results/ENGINE.json, and from
that file the tables of docs/benchmarks.md and README's table and plot are written anew; those of
fewer words stay by themselves, in results/ENGINE-N.json.
"""

import argparse
from collections.abc import Mapping

from meta4.adapter.cli.common import notes
from meta4.errors import InputError
from meta4.models.specs import CellsSpec, cells_for

from .. import report, summary
from ..contest import SERVERS, bench_engine, fit_once
from ..data import hold_out, load_glove
from .bars import REQUIRED, bars
from .collection import Body, Collection
from .indexes import Indexes
from .parts import PARTS
from .parts.bench import Bench, Counts
from .results import kept, with_part
from .tables import section

#: Held-out words that are timed; efforts are found with the others.
_N_ASKED = 300


def main() -> None:
    """Run it all, on one engine after the other."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.engine", description=__doc__)
    parser.add_argument("engines", nargs="*", help=f"{' or '.join(SERVERS)}; both by default")
    parser.add_argument(
        "--words", type=int, help="so many of the most frequent words, 1,000 of them as queries"
    )
    parser.add_argument(
        "--only", nargs="+", choices=PARTS, default=list(PARTS), metavar="PART",
        help=f"some parts: {', '.join(PARTS)}; our index is loaded in any case",
    )  # fmt: skip
    arguments = parser.parse_args()
    engines = arguments.engines or list(SERVERS)
    if unknown := set(engines) - set(SERVERS):
        parser.error(f"no engine {', '.join(sorted(unknown))}; there are {', '.join(SERVERS)}")
    collection = words(arguments.words)
    model = fit_once(CellsSpec(n_buckets=cells_for(len(collection.ids))), collection.base)
    for name in engines:
        with bench_engine(name) as engine:
            indexes = Indexes(engine, name, collection, model)
            bench = Bench(engine, indexes, Counts())
            results = name if arguments.words is None else f"{name}-{arguments.words}"
            parts = kept(results, len(collection.ids))
            for part in PARTS:
                if part in arguments.only:
                    parts = with_part(parts, part, PARTS[part](bench))
                    write(name, results, len(collection.ids), parts)
                    notes.print(f"results/{results}.json: {part} measured")
            print(report.bars_table(report.read_results(results)[0]))
    if arguments.words is not None:
        return
    try:
        summary.write()
    except InputError as error:
        notes.print(f"README is as it was: {error}")


def words(n: int | None) -> Collection:
    """The n most frequent words, all by default, some of them held out as queries."""
    glove = load_glove()
    rows, held_out = hold_out(n or len(glove.words))
    ids = [glove.words[row] for row in rows]
    queries = glove.vectors[held_out]
    return Collection(ids, glove.vectors[rows], queries[_N_ASKED:], queries[:_N_ASKED])


def write(name: str, results: str, documents: int, parts: Mapping[str, Body]) -> None:
    """The results so far, and the tables: a run that is cut off leaves what it has measured.

    Args:
        name: of the engine.
        results: of the file; only one of all words has its name from the engine alone.
        documents: that were measured with.
        parts: what was measured.
    """
    found = {part: one["found"] for part, one in parts.items()}
    every = bars(REQUIRED[name], found)
    details = {"server": SERVERS[name].name, "documents": documents, "parts": parts}
    report.write_results(results, every, details)
    if results == name:
        report.put_into(report.BENCHMARKS, name, section(name, every, found))


if __name__ == "__main__":
    main()
