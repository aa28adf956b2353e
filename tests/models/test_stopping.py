"""How far a request looks: what is expected, what is found, and what is then missing."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from meta4.errors import InputError
from meta4.models.embeddings import unit
from meta4.models.probing.directory import Counts
from meta4.models.stopping.adjusting import Answered, adjust, tried
from meta4.models.stopping.ends import Seen
from meta4.models.stopping.fitting import fit_outlook
from meta4.models.stopping.record import AtLeast, OutlookRecord, clustering_of, mean_for, pack
from meta4.models.stopping.regression import fit_regression
from meta4.models.stopping.shapes import measure_shapes
from meta4.models.stopping.situations import Sample, situations
from meta4.models.stopping.tail import falling_fit
from meta4.models.stopping.work import work_on

DIMS, N, N_BUCKETS = 24, 12_000, 256
KS = (1, 10, 100)


class World:
    """Clusters of very different sizes, their buckets, and an outlook on them."""

    def __init__(self):
        rng = np.random.default_rng(0)
        centres = rng.normal(size=(N_BUCKETS, DIMS))
        sizes = rng.zipf(1.5, N) % N_BUCKETS
        self.rng = rng
        self.centres = centres
        self.x = unit(centres[sizes] + 0.5 * rng.normal(size=(N, DIMS))).astype(np.float32)
        self.directions = unit(self.x[rng.choice(N, N_BUCKETS, replace=False)]).astype(np.float32)
        self.homes = np.argmax(self.x @ self.directions.T, axis=1)
        self.shapes = measure_shapes(self.directions, self.x, self.homes)
        self.outlook = fit_outlook(self.directions, self.x, self.homes, self.shapes, n_each=40)

    def counts(self, kept=slice(None)):
        return Counts(np.bincount(self.homes[kept], minlength=N_BUCKETS).astype(np.float32))

    def answered(self, query, kept=slice(None), source="documents"):
        scores = self.x[kept] @ query
        order = np.argsort(-scores, kind="stable")
        return Answered(query, scores[order], self.homes[kept][order], source)

    def queries(self, n):
        """Points near clusters, each as likely as another: not as documents are."""
        drawn = self.centres[self.rng.integers(N_BUCKETS, size=n)]
        return unit(drawn + 0.5 * self.rng.normal(size=(n, DIMS))).astype(np.float32)


@pytest.fixture(scope="module")
def world():
    return World()


@pytest.mark.parametrize("asked", [0.9, 0.95, 0.99])
@pytest.mark.parametrize("k", KS)
def test_what_is_asked_for_is_delivered_to_queries_unlike_documents(world, k, asked):
    counts = world.counts()
    trials = [
        tried(world.outlook, counts, world.answered(query), k, 1.0 - asked)
        for query in world.queries(150)
    ]
    recalls = [one.recall for one in trials]
    assert np.mean(recalls) + 2 * np.std(recalls) / np.sqrt(len(recalls)) >= asked - 0.01
    assert np.mean([one.looked_into for one in trials]) < 0.9


@pytest.mark.parametrize("name", ["random", "small clusters", "the opposite half", "one region"])
def test_what_is_asked_for_is_delivered_under_filters(world, name):
    x, homes = world.x, world.homes
    sizes = world.counts().by_id[homes]
    region = world.directions[7]
    recalls = []
    for query in world.queries(60):
        kept = {
            "random": world.rng.random(N) < 0.3,
            "small clusters": sizes < np.median(sizes),
            "the opposite half": x @ query < 0,
            "one region": x @ region > 0.2,
        }[name]
        counts = world.counts(kept)
        recalls.append(tried(world.outlook, counts, world.answered(query, kept), 10, 0.05).recall)
    assert np.mean(recalls) + 2 * np.std(recalls) / np.sqrt(len(recalls)) >= 0.94


def test_a_smaller_goal_and_a_larger_k_never_look_into_less(world):
    counts = world.counts()
    for query in world.queries(40):
        facts = world.outlook.shapes.facts(query)
        reach = [
            len(world.outlook.begin(facts, counts, 10, goal).buckets)
            for goal in (0.3, 0.1, 0.05, 0.01, 0.001)
        ]
        assert reach == sorted(reach)


def test_another_round_looks_into_what_was_seen_and_more(world):
    counts = world.counts()
    further = 0
    for query in world.queries(60):
        facts = world.outlook.shapes.facts(query)
        buckets = world.outlook.begin(facts, counts, 30, 0.5).buckets[:2]
        answered = world.answered(query)
        found = answered.scores[np.isin(answered.homes, buckets)][:30]
        if len(found) < 30:
            continue
        missing, after = world.outlook.judge(facts, counts, 30, 0.01, Seen(buckets, found), 1.0)
        if after is not None:
            further += 1
            assert missing > 0.01
            assert set(buckets.tolist()) < set(after.buckets.tolist())
            assert len(set(after.buckets.tolist())) == len(after.buckets)
    assert further > 10


def test_what_was_seen_everywhere_misses_nothing(world):
    facts = world.outlook.shapes.facts(world.queries(1)[0])
    counts = world.counts()
    seen = Seen(counts.filled, np.linspace(0.9, 0.5, 10, dtype=np.float32))
    assert world.outlook.judge(facts, counts, 10, 0.05, seen, 1.0) == (0.0, None)


def test_an_outlook_is_the_same_after_it_was_kept(world):
    packed = pack(world.shapes, world.outlook)
    record = OutlookRecord(
        n_documents=N, n_sampled=N, depths=(1.0, 100.0), leeway=(1.0, 1.0), clustering=0.1,
        packed=packed,
    )  # fmt: skip
    again = OutlookRecord.model_validate_json(record.model_dump_json()).unpacked(world.directions)
    counts = world.counts()
    for query in world.queries(20):
        one, other = (
            each.begin(each.shapes.facts(query), counts, 10, 0.05)
            for each in (world.outlook, again)
        )
        assert one.buckets.tolist() == other.buckets.tolist()
        assert one.missing == pytest.approx(other.missing, abs=1e-5)
    assert len(packed) < 200_000
    with pytest.raises(ValueError, match="not of 255 buckets of 24 dimensions"):
        record.unpacked(world.directions[:-1])
    odd = replace(world.shapes, groups=np.full_like(world.shapes.groups, 200))
    with pytest.raises(ValueError, match="buckets and groups"):
        record.model_copy(update={"packed": pack(odd, world.outlook)}).unpacked(world.directions)
    other = replace(world.outlook, later=world.outlook.first)
    with pytest.raises(ValueError, match="by another version"):
        record.model_copy(update={"packed": pack(world.shapes, other)}).unpacked(world.directions)


def test_an_outlook_is_held_against_exact_answers(world):
    counts = world.counts()
    drawn = [world.answered(world.x[row]) for row in world.rng.integers(N, size=40)]
    adjusted = adjust(world.outlook, counts, drawn, is_sampled=False)
    assert adjusted.depths == tuple(sorted(adjusted.depths))
    assert max(adjusted.leeway) <= 1.0
    assert {(one.k, one.asked) for one in adjusted.delivered} == {
        (k, asked) for k in KS for asked in (0.9, 0.95, 0.99)
    }
    for one in adjusted.delivered:
        assert one.worst <= one.mean
        assert 0.0 < one.looked_into <= 1.0


@given(
    at_least=st.floats(0.5, 1.0),
    share=st.floats(0.5, 0.99),
    k=st.sampled_from([1, 2, 10, 100]),
    clustering=st.floats(0.0, 0.8),
)
@settings(max_examples=60, deadline=None, derandomize=True)
def test_so_many_queries_have_at_least_so_much(at_least, share, k, clustering):
    """Drawn as the model has it: a chance for each query, then each of its k by itself."""
    mean = mean_for(AtLeast.model_validate({"at_least": at_least, "for": share}), k, clustering)
    assert 0.0 < mean <= 1.0
    scale = 1.0 / max(clustering, 1e-6) - 1.0
    rng = np.random.default_rng(1)
    chances = rng.beta(max(mean * scale, 1e-9), (1.0 - mean) * scale, 4000)
    missing = rng.binomial(k, chances)
    allowed = int((1.0 - at_least) * k + 1e-9)
    assert (missing <= allowed).mean() >= share - 0.03


def test_clustering_is_what_was_drawn_with():
    rng = np.random.default_rng(0)
    for true in (0.0, 0.1, 0.4):
        mean = rng.uniform(0.02, 0.2, 20_000)
        scale = 1.0 / max(true, 1e-6) - 1.0
        share = rng.binomial(20, rng.beta(mean * scale, (1 - mean) * scale)) / 20
        assert clustering_of(mean, share, [20] * len(mean)) == pytest.approx(true, abs=0.02)
        # No less so where twice as much was expected.
        assert clustering_of(2 * mean, share, [20] * len(mean)) == pytest.approx(true, abs=0.02)


@pytest.mark.parametrize("bad", [{"at_least": 0.9}, {"at_least": 0.9, "for": 1.0}, {"for": 0.9}])
def test_half_a_promise_is_refused(bad):
    with pytest.raises(ValidationError):
        AtLeast.model_validate(bad)


def test_the_kth_score_is_near_the_one_that_k_reach(world):
    counts = world.counts()
    for query in world.queries(30):
        work = work_on(world.outlook.shapes.facts(query), counts, None)
        for k in (1, 10, 100):
            score = work.kth_score(k, world.outlook.tail)
            expected = float(work.reaching(score, world.outlook.tail)[1].sum())
            assert 0.5 * k <= expected <= 2.0 * k


def test_situations_are_what_a_scan_finds(world):
    sample = Sample(world.x, world.homes, world.outlook.shapes)
    n = 0
    for one in situations(sample, 2, seed=3):
        n += 1
        assert one.counts.total == len(one.scores)
        assert np.bincount(one.homes, minlength=N_BUCKETS).tolist() == one.counts.by_id.tolist()
        assert len(one.nearest(1)) >= 1
    assert n > 30


def test_documents_that_are_all_alike_teach_nothing():
    x = np.tile(unit(np.ones((1, DIMS))).astype(np.float32), (500, 1))
    homes = np.zeros(500, dtype=np.int64)
    directions = np.concatenate([x[:1], -x[:1]])
    shapes = measure_shapes(directions, x, homes)
    with pytest.raises(InputError, match="too much alike to learn from"):
        fit_outlook(directions, x, homes, shapes, n_each=2)


def test_equal_documents_are_drawn_once(world):
    x = np.concatenate([world.x[:100], np.repeat(world.x[:1], 5_000, axis=0)])
    homes = np.concatenate([world.homes[:100], np.repeat(world.homes[:1], 5_000)])
    sample = Sample(x, homes, world.outlook.shapes)
    drawn = {sample.any_row(np.random.default_rng(seed)) for seed in range(300)}
    assert len(drawn) > 80
    assert max(drawn) < 100


def test_a_falling_fit_is_the_nearest_that_falls():
    values = np.array([5.0, 3.0, 4.0, 1.0, 2.0, 2.0])
    fitted = falling_fit(values, np.ones(6))
    assert fitted.tolist() == pytest.approx([5.0, 3.5, 3.5, 5 / 3, 5 / 3, 5 / 3])


def test_a_regression_learns_a_share():
    rng = np.random.default_rng(0)
    x = rng.normal(3.0, 2.0, size=(20_000, 3)).astype(np.float32)
    share = (1.0 / (1.0 + np.exp(x[:, 0] - 2.0 * np.abs(x[:, 1] - 3.0)))).astype(np.float32)
    fitted = fit_regression(x, share)
    assert np.abs(1.0 / (1.0 + np.exp(-fitted(x))) - share).mean() < 0.02
