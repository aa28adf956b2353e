"""What a filter keeps where it was counted, and what is then held of all else."""

import numpy as np
import pytest

from meta4.adapter.search.kept import Kept
from meta4.adapter.search.plan import RequestPlan
from meta4.models.probing.directory import Counts

N_BUCKETS, COUNTED = 2_000, 300


def kept_by(shares, seed=0):
    """An index of some 40 documents a bucket, and a filter that keeps such shares of them."""
    rng = np.random.default_rng(seed)
    of_all = rng.poisson(40, N_BUCKETS)
    by_bucket = rng.binomial(of_all, shares)
    kept = Kept.uncounted(int(by_bucket.sum()), N_BUCKETS)
    near = rng.permutation(N_BUCKETS)[:COUNTED] if np.ndim(shares) == 0 else np.arange(COUNTED)
    found = {int(bucket): int(by_bucket[bucket]) for bucket in near if by_bucket[bucket]}
    return Counts(of_all.astype(np.float32)), kept.and_counted(near, found), near, by_bucket


@pytest.mark.parametrize("share", [0.9, 0.5, 0.3])
def test_a_filter_by_chance_keeps_the_same_everywhere(share):
    even = 0
    for seed in range(20):
        of_all, kept, near, by_bucket = kept_by(share, seed)
        counts, is_even = kept.after(of_all, near)
        even += is_even
        assert counts.by_id[near].tolist() == by_bucket[near].tolist()
        if is_even:
            assert counts.total == pytest.approx(by_bucket.sum(), rel=0.05)
    assert even >= 19


@pytest.mark.parametrize(
    "shares",
    {
        "here and not elsewhere": np.where(np.arange(N_BUCKETS) < COUNTED, 0.5, 0.1),
        "elsewhere and not here": np.where(np.arange(N_BUCKETS) < COUNTED, 0.05, 0.5),
        "nothing here": np.where(np.arange(N_BUCKETS) < COUNTED, 0.0, 0.5),
        "whole buckets": np.arange(N_BUCKETS) % 3 == 0,
        "more in some": 0.2 + 0.3 * (np.arange(N_BUCKETS) % 2),
        "few": np.full(N_BUCKETS, 0.01),
    }.items(),
    ids=lambda one: one[0],
)
def test_another_filter_may_keep_three_times_as_much_elsewhere(shares):
    of_all, kept, near, by_bucket = kept_by(shares[1])
    counts, is_even = kept.after(of_all, near)
    assert not is_even
    rest = np.setdiff1d(np.arange(N_BUCKETS), near)
    assert counts.by_id[rest].sum() >= min(2.5 * by_bucket[rest].sum(), of_all.by_id[rest].sum())
    assert counts.by_id[near].tolist() == by_bucket[near].tolist()


def test_a_filter_that_was_not_counted_is_held_for_even():
    of_all, kept, _, by_bucket = kept_by(0.3)
    counts = kept.at_first(of_all)
    assert counts.total == pytest.approx(by_bucket.sum(), rel=1e-5)
    assert counts.filled.tolist() == np.flatnonzero(counts.by_id).tolist()
    nothing = Kept.uncounted(0, N_BUCKETS).at_first(of_all)
    assert nothing.total == 0.0
    assert not len(nothing.filled)


def test_what_comes_often_is_counted_everywhere():
    """Sooner where little is kept; until then each request counts where it looks."""
    for total, n_alone in ((1_000, 3), (1_000_000, 12)):
        kept = Kept.uncounted(total, N_BUCKETS)
        for i in range(n_alone):
            unknown = np.arange(10 * i, 10 * i + 20)
            assert kept.to_count(unknown).tolist() == unknown[10 if i else 0 :].tolist()
            kept = kept.and_counted(unknown, {})
        assert len(kept.to_count(np.asarray([0]))) == 0
        everywhere = kept.to_count(np.asarray([0, N_BUCKETS - 1]))
        assert everywhere.tolist() == list(range(N_BUCKETS))
        assert len(kept.and_counted(everywhere, {}).to_count(everywhere)) == 0


def test_whoever_finds_too_few_looks_exactly_at_last():
    """Everywhere by a first phase too: what was written since it was counted has no sketch."""
    whole = RequestPlan(None, 10.0, 1.0, 5000, 1.0, "")
    by_sketches = whole.everywhere("a filter that cuts through", 0.9)
    assert by_sketches.further([0.5] * 10, 10) is None
    exact = by_sketches.further([0.5] * 9, 10)
    assert (exact.probes, exact.promised_recall, exact.n_rounds) == (None, 1.0, 2)
    assert exact.further([0.5] * 9, 10) is None
    assert whole.further([0.5] * 9, 10) is None
