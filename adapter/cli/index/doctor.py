"""`meta4 index doctor`."""

import click

from ...manage.doctor import examine_index
from ..common import counting, engine_at, json_option, print_json, print_table, url_option


@click.command("doctor")
@click.argument("name")
@click.option(
    "--queries",
    type=click.IntRange(10, 10_000),
    default=200,
    show_default=True,
    help="Documents that the promised recall is measured anew with.",
)
@url_option
@json_option
def doctor_command(name: str, queries: int, url: str | None, as_json: bool) -> None:
    """Look for what keeps an index from giving what it promises, and say what to do.

    Documents without a hash or with a stale one, empty and giant buckets, drift of new documents
    from the training data, the promised recall, shards and segments. For monitoring: exit code 1
    where something is to be done, 0 where nothing is.

    Example: meta4 index doctor words --json
    """
    engine = engine_at(url)
    with counting(f"measuring {name}", queries, "queries") as progress:
        findings = examine_index(engine, name, n_queries=queries, progress=progress)
    if as_json:
        print_json([finding.as_dict() for finding in findings])
    else:
        print_table(
            ["", "", "found", "what to do"],
            [[finding.what, finding.level, finding.found, finding.todo] for finding in findings],
        )
    if any(finding.level == "act" for finding in findings):
        raise click.exceptions.Exit(1)
