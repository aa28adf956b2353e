"""`meta4 copy`."""

from typing import get_args

import click

from ....errors import InputError
from ....mappings.spec import STRATEGIES, FirstPhase, Hashing, Strategy
from ....models.probing.ranking import PLANS, Plan
from ...engines.place import Place
from ...fields.field import Options
from ...fields.kinds import kind_taking, new_field
from ...move.copy import adopt_index, check_copy, copy_index, count_left
from ...move.copy_report import CopyReport
from ..common import counting, engine_at, json_option, notes, print_json

_SHOWN = 20


@click.command("copy")
@click.argument("source")
@click.argument("target")
@click.option("--model", "reference", help="Hash with this model: SOURCE need not be hashed.")
@click.option("--field", help="With --model: the field that holds the vectors.")
@click.option(
    "--strategy",
    type=click.Choice(STRATEGIES),
    help="How the exact rerank runs. Default: as in SOURCE, with --model native.",
)
@click.option(
    "--plan", type=click.Choice(PLANS), help="Order of the buckets. Default: as in SOURCE."
)
@click.option(
    "--hashing",
    type=click.Choice(get_args(Hashing)),
    help="Who hashes what is written later. Default: as in SOURCE, with --model client.",
)
@click.option(
    "--first-phase",
    type=click.Choice(get_args(FirstPhase)),
    help="What documents are scored by at first; see 'meta4 index create'. Default: as in SOURCE, "
    "with --model auto.",
)
@click.option("--shards", type=click.IntRange(1), help="Default: as many as SOURCE has.")
@click.option("--replicas", type=click.IntRange(0), default=0, show_default=True)
@json_option
def copy_command(
    source: str,
    target: str,
    reference: str | None,
    field: str | None,
    strategy: Strategy | None,
    plan: Plan | None,
    hashing: Hashing | None,
    first_phase: FirstPhase | None,
    shards: int | None,
    replicas: int,
    as_json: bool,
) -> None:
    """Copy the index SOURCE to TARGET, both written URL/INDEX, between any two clusters.

    A hashed index keeps ids, codes, buckets, model and calibration. With --model and --field any
    index with such a field becomes a hashed one. SOURCE is only read, and keeps its aliases.
    TARGET has all its settings and its mapping, or nothing is written. A copy that was cut off goes
    on with the same command, which later brings what was written since (what was deleted since
    stays in TARGET). Afterwards documents and vectors are counted, and some compared; the exit code
    is 1 where something is missing, left over or different.

    Example: meta4 copy http://old:9200/words http://new:9200/words
    """
    if (reference is None) != (field is None):
        raise InputError("--model and --field belong together; without both SOURCE is hashed")
    here, there = _place(source), _place(target)
    with counting(f"copying to {there}", count_left(here, there), "documents") as advance:
        if reference is None or field is None:
            given = {
                "strategy": strategy,
                "plan": plan,
                "hashing": hashing,
                "first_phase": first_phase,
            }
            report = copy_index(
                here,
                there,
                {name: value for name, value in given.items() if value is not None},
                shards=shards,
                replicas=replicas,
                advance=advance,
            )
        else:
            options = Options(
                strategy or "native", plan, hashing or "client", first_phase or "auto"
            )
            # Before a model is stored.
            check_copy(here, there, field, options.hashing or "client", shards)
            ref, model = kind_taking(reference).resolve(there.engine, reference)
            made = new_field(there.engine, field, ref, model, options)
            report = adopt_index(
                here, there, made, shards=shards, replicas=replicas, advance=advance
            )
    if as_json:
        print_json(_as_dict(report))
    else:
        _show(report, there)
    if not report.is_whole:
        raise click.exceptions.Exit(1)


def _place(text: str) -> Place:
    url, _, index = text.rpartition("/")
    if not index or "://" not in url:
        raise InputError(f"{text!r}: expected URL/INDEX, as in http://localhost:9200/words")
    return Place(engine_at(url), index)


def _as_dict(report: CopyReport) -> dict[str, object]:
    return {
        "copied": report.loaded.n_indexed,
        "hashed": report.n_hashed,
        "seconds": report.loaded.seconds,
        "docs_per_s": report.loaded.docs_per_s,
        "source_documents": report.n_source,
        "target_documents": report.n_target,
        "source_with_field": report.n_source_values,
        "target_with_field": report.n_target_values,
        "compared": report.n_compared,
        "differing": report.differing,
        "refused": report.loaded.n_refused,
        "refusals": [
            {"id": refusal.id, "reason": refusal.reason} for refusal in report.loaded.refusals
        ],
    }


def _show(report: CopyReport, target: Place) -> None:
    loaded = report.loaded
    click.echo(
        f"{loaded.n_indexed:,} documents copied in {loaded.seconds:.1f} s "
        f"({loaded.docs_per_s:,.0f}/s), {report.n_hashed:,} of them hashed anew; "
        f"{report.n_target:,} in {target}, {report.n_source:,} in the source; "
        f"{report.n_target_values:,} of them with the hashed field, {report.n_source_values:,} in "
        f"the source; "
        f"{report.n_compared:,} compared, {len(report.differing):,} differ; "
        f"{loaded.n_refused:,} refused"
    )
    for refusal in loaded.refusals[:_SHOWN]:
        notes.print(f"refused id {refusal.id}: {refusal.reason}")
    for identity in report.differing[:_SHOWN]:
        notes.print(f"differs: id {identity}")
