"""Clauses that ask a field of vectors, planned: what is read for them, and what they look into."""

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

from ....errors import ConflictError
from ....models.model import HashModel
from ....models.probing.directory import Directory
from ....models.stopping.record import OutlookRecord
from ...engines.calls import Steps, Work, to_json
from ...search.kept import Kept
from ...search.looking import Tuned
from ...search.plan import RequestPlan, Way, plan_by_outlook, plan_request
from ...search.planned import Body
from ...search.rewriter import ids_in, n_left_out
from ...search.sites import Site
from ..scope import Scope, named_values
from .counting import Counting, total_body
from .directory import Directories
from .encoding import vectors_of_texts
from .first_phase import LEFT_OUT
from .operands import vectors_of
from .request import PlannedVectors, query_vector

if TYPE_CHECKING:
    from .field import VectorField


def plan_sites(
    field: "VectorField", scope: Scope, sites: Sequence[Site], *, exact: bool
) -> Steps[list[PlannedVectors]]:
    """See `Field.plan`."""
    index, spec = scope.name, field.spec
    model = yield from field.model()
    of_all = yield from field.directories(index)
    tuned = yield from _tuned(field, model)
    named = yield from named_values(field.calls, scope, spec.field, sites)
    texts = yield from vectors_of_texts(spec, sites)
    part = 1.0 if spec.windows is None else 1.0 - LEFT_OUT
    planned = []
    for site in sites:
        rows = vectors_of(site, named, texts, spec, index)
        recall = 1.0 if exact else site.clause.recall
        query = query_vector(site, rows)
        k, left_out = site.clause.k, n_left_out(site)
        counting = None
        plan: RequestPlan
        if tuned:
            by_home = of_all[spec.home_keyword]
            counting = yield from _counting(field, index, site, by_home, model)
            kept = None if counting is None else counting.kept
            plan = plan_by_outlook(
                query, k, left_out, recall, spec.home_keyword, tuned, by_home, kept, part
            )
        else:
            ways = yield from _ways(field, index, site, of_all)
            # Twice: at the edge of what is reached more is missed than is promised on average.
            plan = plan_request(query, k + 2 * left_out, recall, spec, model, ways)
        strays, dialect = of_all["bucket"].n_strays, field.calls.dialect
        planned.append(
            PlannedVectors(site, rows, plan, strays, spec, model, dialect, counting, scope.hides)
        )
    return planned


def _tuned(field: "VectorField", model: HashModel) -> Steps[list[Tuned]]:
    """The outlooks of a field, ready."""
    own = field.spec.own_reach
    records = [] if own is None else [own, *field.others]
    ready = []
    for record in records:
        key = ("outlook", "", (model.manifest.sha256, record.packed))
        read = partial(_ready, field.spec.field, record, model)
        ready.append((yield from field.shelf.take(key, read, forever=True)))
    return ready


def _ready(field: str, record: OutlookRecord, model: HashModel) -> Steps[Tuned]:
    tuned: Tuned = yield Work(lambda _: _unpacked(field, record, model))
    return tuned


def _unpacked(field: str, record: OutlookRecord, model: HashModel) -> Tuned:
    try:
        outlook = record.unpacked(model.centroids)
        outlook.rehearse()
        return Tuned(record, outlook)
    except (ValueError, KeyError) as error:
        raise ConflictError(
            f"what field {field!r} was tuned to cannot be read ({error}); run: meta4 index tune"
        ) from error


def _counting(
    field: "VectorField", index: str, site: Site, of_all: Directory, model: HashModel
) -> Steps[Counting | None]:
    """How what a clause's filter keeps is counted; None without one."""
    condition = _condition(site)
    if condition is None:
        return None
    key = ("kept", index, (field.spec.field, to_json([condition, site.defined])))

    def read() -> Steps[Kept]:
        answer = yield from field.calls.search(index, total_body(condition, site.defined))
        return Kept.uncounted(answer["hits"]["total"]["value"], model.n_buckets)

    return Counting(
        (yield from field.shelf.take(key, read)),
        of_all.as_counts,
        field.spec,
        model.terms,
        condition,
        site.defined,
        partial(field.shelf.grow, key),
    )


def _ways(field: "VectorField", index: str, site: Site, of_all: Directories) -> Steps[list[Way]]:
    """By which documents can be looked for, where one share serves all queries."""
    condition = _condition(site)
    kept = of_all
    if condition is not None:
        kept = yield from field.directories(index, {"bool": condition}, site.defined)
    return [
        Way(keyword, field.spec.calibration_of(keyword), of_all[keyword], kept[keyword])
        for keyword in field.spec.keywords(filtered=condition is not None)
    ]


def _condition(site: Site) -> Body | None:
    """A clause's filter, as parts of a `bool`; None without one."""
    exclusions = [query for query in site.exclusions if not ids_in(query)]
    if not site.filters and not exclusions:
        return None
    return {"filter": list(site.filters), "must_not": exclusions}
