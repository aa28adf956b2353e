"""Similar pairs: none twice, none that is not, and as many as were asked for."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.vectors import mixture, unit

from meta4.models.embeddings import unit_float32
from meta4.models.probing import pair_recall, pair_search, pairs
from meta4.models.probing.bucket_rows import BucketRows, in_file
from meta4.models.probing.pair_search import search_for_pairs
from meta4.models.probing.pairs import DECIMALS, BucketJoin, cosines_of


def clustered(n, n_buckets, seed, noise=0.5, astray=0):
    """Vectors about some points, of which those in the same place are in the same bucket."""
    x = unit_float32(mixture(n, 3 * n_buckets, 16, noise, seed)[0])
    rng = np.random.default_rng(seed)
    centroids = x[rng.choice(n, n_buckets, replace=False)]
    buckets = np.argmax(x @ centroids.T, axis=1) * 7  # some have no number
    buckets[rng.choice(n, astray, replace=False)] = -1
    return x, buckets


def found_by(join, min_cosine):
    """By pair of rows as they were given, the cosine."""
    order, found = join.rows.order, {}
    for a, b, cosines in join.pairs(min_cosine):
        for i, j, cosine in zip(order[a], order[b], cosines, strict=True):
            key = (min(i, j), max(i, j))
            assert i != j
            assert key not in found
            found[key] = cosine
    return found


def brute_force(x, min_cosine):
    y = unit(x.astype(np.float64))
    cosines = np.round(y @ y.T, DECIMALS)
    a, b = np.nonzero(np.triu(cosines >= min_cosine, 1))
    return {(i, j): cosines[i, j] for i, j in zip(a, b, strict=True)}


def same(found, truth):
    assert found.keys() == truth.keys()
    assert all(abs(found[key] - truth[key]) < 1e-9 for key in found)


@settings(max_examples=25, deadline=None)
@given(
    n=st.integers(0, 300),
    n_buckets=st.integers(1, 12),
    seed=st.integers(0, 99),
    min_cosine=st.sampled_from([0.01, 0.5, 0.7, 0.9, 0.99, 1.0]),
    doubled=st.integers(0, 30),
)
def test_all_buckets_are_all_pairs(n, n_buckets, seed, min_cosine, doubled):
    n_buckets = min(n_buckets, n)
    x, buckets = clustered(n, n_buckets, seed) if n else (np.empty((0, 16), np.float32), [])
    x = np.concatenate([x, x[:doubled]])
    buckets = np.concatenate([buckets, buckets[:doubled]]).astype(np.int64)
    truth = brute_force(x, min_cosine)
    assert len(truth) >= min(n, doubled)
    rows = BucketRows.of(x, buckets)
    same(found_by(BucketJoin(rows, None), min_cosine), truth)
    for reach in range(1, len(rows.starts)):
        join = BucketJoin(rows, rows.nearest(reach))
        part = found_by(join, min_cosine)
        assert part.items() <= truth.items() or all(
            abs(part[key] - truth[key]) < 1e-9 for key in part
        )
    if len(rows.starts) > 1:
        same(part, truth)  # the last looks into all


def test_what_is_found_is_what_it_says():
    x, buckets = clustered(2000, 40, 3, astray=200)
    rows = BucketRows.of(x, buckets)
    assert len(rows.rows) == 2000
    before = {tuple(x[i]) for i in range(2000)}
    assert {tuple(row) for row in rows.rows} == before
    join = BucketJoin(rows, rows.nearest(3))
    truth, found, place = brute_force(x, 0.8), found_by(join, 0.8), np.argsort(rows.order)
    a, b = place[np.asarray(list(truth)).T]
    assert np.array_equal(join.finds(a, b), [pair in found for pair in truth])
    assert 0 < len(found) < len(truth)
    # A row looks as far as `place_of` says, and no less far.
    places = np.minimum(rows.place_of(a, rows.buckets[b]), rows.place_of(b, rows.buckets[a]))
    assert np.array_equal(join.finds(a, b), places <= 3)


def test_blocks_do_not_matter(monkeypatch):
    x, buckets = clustered(700, 9, 1)
    join = BucketJoin(BucketRows.of(x, buckets), None)
    whole = found_by(join, 0.6)
    monkeypatch.setattr(pairs, "_PRODUCTS", 1000)
    monkeypatch.setattr(pairs, "_DECIDED", 7)
    monkeypatch.setattr(pairs, "_BLOCK", 64)
    assert found_by(join, 0.6) == whole


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("recall", [0.9, 0.99])
def test_the_recall_is_delivered_and_measured(monkeypatch, seed, recall):
    monkeypatch.setattr(pair_search, "FEW", 100)
    x, buckets = clustered(6000, 150, seed, noise=0.35, astray=60)
    searched = search_for_pairs(BucketRows.of(x, buckets), 0.9, recall)
    truth = brute_force(x, 0.9)
    share = len(found_by(searched.join, 0.9)) / len(truth)
    told = searched.found
    assert searched.join.share < 0.25
    assert share >= recall - 0.005
    assert abs(told.recall - share) < 0.02
    assert told.at_least <= min(share, told.recall)
    assert told.n_pairs > 100


def test_where_buckets_would_not_pay_all_are_compared(monkeypatch):
    monkeypatch.setattr(pair_search, "FEW", 100)
    x, _ = clustered(1000, 20, 0)
    by_chance = np.random.default_rng(0).integers(0, 64, 1000)
    searched = search_for_pairs(BucketRows.of(x, by_chance), 0.5, 0.99)
    assert searched.join.looked_into is None
    assert (searched.found.recall, searched.found.at_least) == (1.0, 1.0)


def test_a_recall_that_nothing_was_measured_of_is_none(monkeypatch):
    monkeypatch.setattr(pair_search, "FEW", 100)
    x = unit_float32(np.random.default_rng(0).standard_normal((2000, 64)).astype(np.float32))
    searched = search_for_pairs(BucketRows.of(x, np.argmax(x @ x[:100].T, axis=1)), 0.99, 0.9)
    assert searched.found.recall is None
    assert (searched.found.at_least, searched.found.n_pairs) == (0.0, 0)


def test_few_pairs_make_no_bold_bound():
    x, buckets = clustered(3000, 60, 5)
    rows = BucketRows.of(x, buckets)
    join = BucketJoin(rows, rows.nearest(len(rows.starts) - 1))  # finds all
    known = np.zeros(3000, dtype=bool)
    bounds = []
    for n in (30, 300, 3000):
        rng = np.random.default_rng(0)
        drawn = pair_recall.draw_pairs(rows, 0.8, known, (0, n), rng, lambda *_: None)
        told = drawn.recall(join)
        assert told.recall == 1.0
        bounds.append(told.at_least)
    assert bounds[0] < bounds[1] < bounds[2] == 1.0


def test_a_vector_and_its_triple_have_a_cosine_of_one():
    x = np.random.default_rng(0).standard_normal((500, 100)).astype(np.float32)
    assert (cosines_of(unit_float32(x), unit_float32(3 * x)) == 1.0).all()


def test_rows_in_a_file():
    blocks = [np.ones((3, 4), np.float32), np.zeros((0, 4), np.float32), np.zeros((2, 4))]
    assert np.array_equal(in_file(blocks, 4), np.concatenate(blocks))
    assert in_file([], 4).shape == (0, 4)
