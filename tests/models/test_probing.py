import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.reference import reference_probe_order

from meta4.errors import InputError
from meta4.models.probing.calibration import TARGETS, Calibration, calibrate
from meta4.models.probing.directory import Directory, bucket_ids, bucket_terms
from meta4.models.probing.ranking import check_plan, rank_buckets


def directory_of(model, vectors):
    buckets, counts = np.unique(model.buckets(vectors), return_counts=True)
    return Directory(buckets, counts, model.n_buckets, len(vectors))


@pytest.mark.parametrize("plan", ["bitwise", "margin"])
def test_costs_are_the_slow_reference(models, vectors, plan):
    for query in vectors[6000:6010]:
        slow = reference_probe_order(models["itq"].weights, query, plan)
        fast = models["itq"].bucket_costs(query, plan)
        assert np.allclose(fast, [slow[bucket] for bucket in range(len(fast))], rtol=1e-5)


def test_centroid_costs_are_negative_cosines(models, vectors):
    query = vectors[7000]
    costs = models["cells"].bucket_costs(query, "centroid")
    cosines = models["cells"].centroids @ (query / np.linalg.norm(query))
    assert np.allclose(costs / np.linalg.norm(query), -cosines, atol=1e-5)


def ranking_of(model, query, plan, directory, filtered=None):
    costs = model.bucket_costs(query, plan)
    return rank_buckets(costs, directory, filtered or directory)


@given(row=st.integers(0, 9999), small=st.floats(0, 5000), more=st.floats(0, 5000))
@settings(max_examples=60, deadline=None)
def test_more_probes_never_lose_a_candidate(models, vectors, row, small, more):
    model = models["cells"]
    directory = directory_of(model, vectors[:3000])
    ranking = ranking_of(model, vectors[row], "centroid", directory)
    few = ranking.prefix(ranking.reaching(small, 0, whole_levels=False))
    many = ranking.prefix(ranking.reaching(small + more, 0, whole_levels=False))
    assert few.buckets.tolist() == many.buckets[: len(few.buckets)].tolist()
    assert len(few.buckets) == 1 or few.n_postings <= small + 0.5


def test_a_share_reaches_just_the_bucket_that_it_was_calibrated_at(models, vectors):
    directory = directory_of(models["cells"], vectors[:3000])
    ranking = ranking_of(models["cells"], vectors[5000], "centroid", directory)
    shares = ranking.cumulated_all / directory.n_postings
    reached = [
        ranking.reaching(share * directory.n_postings, 1, whole_levels=False) for share in shares
    ]
    assert reached == list(range(1, len(directory.buckets) + 1))


@pytest.mark.parametrize("plan", ["bitwise", "margin", "centroid"])
def test_all_postings_are_all_buckets(models, vectors, plan):
    model = models["lsh"]
    directory = directory_of(model, vectors[:2000])
    ranking = ranking_of(model, vectors[5], plan, directory)
    probes = ranking.prefix(ranking.reaching(directory.n_postings, 0, whole_levels=False))
    assert sorted(probes.buckets.tolist()) == directory.buckets.tolist()


def test_algorithm_1_looks_into_its_own_bucket_then_into_neighbours(models, vectors):
    model = models["itq"]
    directory = directory_of(model, vectors[:3000])
    query = vectors[11]
    own = int(model.buckets(query[None])[0, 0])
    ranking = ranking_of(model, query, "bitwise", directory)
    own_count = int(directory.counts[directory.buckets == own][0])
    first = ranking.prefix(ranking.reaching(0, own_count, whole_levels=True))
    assert first.buckets.tolist() == [own]
    second = ranking.prefix(ranking.reaching(0, own_count + 1, whole_levels=True))
    filled = set(directory.buckets.tolist())
    assert set(second.buckets.tolist()) == {own} | {own ^ (1 << b) for b in range(7)} & filled


def test_buckets_that_a_filter_empties_are_not_probed(models, vectors):
    model = models["cells"]
    directory = directory_of(model, vectors[:3000])
    filtered = directory_of(model, vectors[:60])
    ranking = ranking_of(model, vectors[5000], "centroid", directory, filtered)
    n = ranking.reaching(0, 40, whole_levels=False)
    probes = ranking.prefix(n)
    assert n > len(probes.buckets)
    assert set(probes.buckets.tolist()) <= set(filtered.buckets.tolist())
    assert probes.n_postings >= 40


def test_an_empty_directory_gives_no_probes(models, vectors):
    empty = Directory(np.empty(0, np.int64), np.empty(0, np.int64), 64, 0)
    ranking = ranking_of(models["cells"], vectors[0], "centroid", empty)
    assert ranking.prefix(ranking.reaching(1, 10, whole_levels=True)).buckets.tolist() == []


def test_cells_have_no_bits_to_flip(models):
    with pytest.raises(InputError, match="centroid"):
        check_plan("margin", models["cells"].bucket_kind)
    check_plan("margin", models["lsh"].bucket_kind)


def test_terms_sort_as_ids_do():
    terms = bucket_terms(300)
    assert terms == sorted(terms)
    assert terms[0] == "000"
    assert terms[299] == "12b"


needed_matrices = st.integers(0, 2**32 - 1).map(
    lambda seed: np.random.default_rng(seed).beta(0.5, 8.0, size=(200, 120)) + 1e-6
)


@given(needed_matrices)
@settings(max_examples=20, deadline=None)
def test_calibrated_shares_reach_their_targets(needed):
    calibration = calibrate(list(needed), "centroid", n_documents=5000)
    for target in TARGETS:
        for depth in calibration.depths:
            share = calibration.share(target, depth)
            reached = (needed[:, :depth] <= share * (1 + 1e-9)).mean(axis=1)
            assert reached.mean() >= target


@given(needed_matrices, st.floats(0.5, 1.0), st.floats(0.5, 1.0), st.floats(1, 5000))
@settings(max_examples=50, deadline=None)
def test_more_recall_never_looks_into_less(needed, one, other, depth):
    calibration = calibrate(list(needed), "centroid", n_documents=5000)
    low, high = sorted((one, other))
    assert calibration.share(low, depth) <= calibration.share(high, depth) * (1 + 1e-9)


def test_interpolation_is_between_its_neighbours():
    shares = {"0.9": (0.01, 0.1), "0.95": (0.02, 0.2), "0.99": (0.05, 0.5), "0.999": (0.1, 1.0)}
    calibration = Calibration(
        plan="centroid", depths=(10, 100), shares=shares, n_queries=10, n_documents=100
    )
    assert calibration.share(0.95, 10) == pytest.approx(0.02)
    assert 0.02 < calibration.share(0.97, 10) < 0.05
    assert calibration.share(0.95, 31.6) == pytest.approx(np.sqrt(0.02 * 0.2), rel=0.01)
    assert calibration.share(0.95, 1000) == 1.0  # continued, and no more than all
    assert calibration.share(0.5, 1) == pytest.approx(0.01)
    assert calibration.share(0.9999, 10) == 1.0


def test_a_keyword_names_a_bucket_as_the_model_writes_it_or_none():
    assert bucket_ids(bucket_terms(300), 300).tolist() == list(range(300))
    odd = ["12c", "00", "0000", "zzz", "-01", "0x1", "1_0", "0A1", "", 7, None]
    assert bucket_ids(["0ff", *odd, "001"], 300).tolist() == [255, 1]
    assert len(bucket_ids([], 300)) == 0


@pytest.mark.parametrize(
    "wrong",
    [
        {"depths": (0,)},
        {"depths": (2, 1), "shares": {"0.9": (0.1, 0.2)}},
        {"shares": {}},
        {"shares": {"much": (0.1,)}},
        {"shares": {"1": (0.1,)}},
        {"shares": {"0.90": (0.1,)}},
        {"shares": {"0.9": (0.1, 0.2)}},
        {"shares": {"0.9": (0.0,)}},
        {"shares": {"0.9": (float("nan"),)}},
        {"prices": {"0.9": (float("inf"),)}},
    ],
)
def test_a_calibration_that_cannot_be_read_off_is_none(wrong):
    right = {"plan": "margin", "depths": (1,), "shares": {"0.9": (0.1,)}}
    assert Calibration(**right, n_queries=1, n_documents=1).share(0.95, 3) == 1.0
    with pytest.raises(ValueError, match="expected"):
        Calibration(**{**right, **wrong}, n_queries=1, n_documents=1)
