"""The yardsticks and hash tables that methods are compared with in memory."""

import numpy as np
import pytest
from benchmarks.baselines.e2lsh import E2Lsh, Parameters, choices, collision_probability
from benchmarks.baselines.tables import HashTables
from benchmarks.retrieval import Arena, K, Method, precisions


def test_precisions_count_what_is_missing_as_wrong():
    right = np.zeros(100, dtype=bool)
    right[[0, 2, 30]] = True
    average, of_25 = precisions(right)
    assert average == pytest.approx((1 / 1 + 2 / 3 + 3 / 31) / K)
    assert of_25 == 2 / 25
    assert precisions(np.ones(K, dtype=bool)) == pytest.approx((1.0, 1.0))
    assert precisions(np.ones(10, dtype=bool))[0] == pytest.approx(10 / K)


def test_tables_give_the_documents_of_any_key():
    rng = np.random.default_rng(0)
    keys = rng.integers(0, 40, (500, 3)) + np.array([0, 100, 200])
    tables = HashTables(keys)
    asked = np.array([5, 117, 239, 9999])
    expected = np.flatnonzero(np.isin(keys, asked).any(axis=1))
    assert (tables.documents(asked) == expected).all()


def test_projections_collide_as_often_as_their_probability():
    """Datar et al.: tried with many tables of a single pair of projections."""
    rng = np.random.default_rng(1)
    for distance in (0.5, 1.0, 3.0):
        step = rng.standard_normal(20)
        base = np.vstack([np.zeros(20), distance * step / np.linalg.norm(step)])
        base = (base + rng.standard_normal(20)).astype(np.float32)
        index = E2Lsh(base, 1.0, Parameters(k=2, m=100))
        halves = index.keys(base)
        share = float((halves[0] == halves[1]).mean())
        (single,) = collision_probability(np.array([distance]))
        assert share == pytest.approx(single**2, abs=0.12)


def test_more_projections_want_more_tables_for_the_same_success():
    found = choices(0.9)
    assert [one.k for one in found] == list(range(2, 2 * len(found) + 1, 2))
    tables = [one.n_tables for one in found]
    assert tables == sorted(tables)


def test_a_rival_gets_the_effort_that_fits_the_time():
    rng = np.random.default_rng(2)
    base = rng.standard_normal((3000, 8)).astype(np.float32)
    base /= np.linalg.norm(base, axis=1, keepdims=True)
    labels = (base[:, 0] > 0).astype(np.int64)
    arena = Arena(base, labels, base[:50], labels[:50])
    method = Method("some", lambda _, n: np.arange(n), (1000, 2000, 3000))
    assert arena.effort_within(method, 1e9, 5) == 3000
    assert arena.effort_within(method, 0.0, 5) == 1000
    exact = Method("exact", lambda _query, _effort: slice(None))
    whole, some = arena.measure([(exact, 0), (method, 3000)], 50)
    assert (whole.candidates, some.candidates) == (3000, 3000)
    assert whole.average_precision == some.average_precision
    assert whole.precision > 0.8
