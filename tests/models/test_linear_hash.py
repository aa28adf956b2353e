"""What is hashed fast is hashed as it is defined, on ties and at the ends of float32 too."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.grids import cell_weights, hard_vectors, spherical
from support.reference import reference_bits, reference_buckets

from meta4.models.graphs.grid import GRID_MAX
from meta4.models.graphs.linear_graph import linear_hash_to_onnx
from meta4.models.graphs.linear_hash import LinearHash
from meta4.models.graphs.runtime import open_session, run_in_batches


def assert_as_defined(weights, x):
    hashing = LinearHash(weights)
    bits, buckets = hashing.bits(x), hashing.buckets(x)
    for row, vector in enumerate(x):
        assert buckets[row].tolist() == reference_buckets(weights, vector), vector
        assert (bits[row] == reference_bits(weights, vector)).all(), vector


@pytest.mark.parametrize("soar_lambda", [0.0, 1.0, 100.0])
@pytest.mark.parametrize("dims", [1, 2, 3, 100, 384])
def test_cells_of_hard_vectors(dims, soar_lambda):
    rng = np.random.default_rng(dims)
    rows = spherical(rng, 24, dims)
    assert_as_defined(cell_weights(rows, soar_lambda=soar_lambda), hard_vectors(rng, rows))


@pytest.mark.parametrize("dims", [2, 100])
def test_cells_that_are_all_the_same(dims):
    rng = np.random.default_rng(dims)
    rows = np.repeat(rng.integers(-GRID_MAX, GRID_MAX, (1, dims)), 300, axis=0)
    weights = cell_weights(rows)
    x = hard_vectors(rng, rows)
    assert (LinearHash(weights).buckets(x) == [0, 1]).all()
    assert_as_defined(weights, x[:5])


@given(data=st.data(), dims=st.integers(1, 6), soar_lambda=st.sampled_from([0.0, 0.5, 1.0, 7.0]))
@settings(max_examples=200, deadline=None)
def test_small_whole_numbers_where_ties_abound(data, dims, soar_lambda):
    number = st.integers(-3, 3)
    several = st.lists(st.lists(number, min_size=dims, max_size=dims), min_size=2, max_size=12)
    rows = data.draw(several)
    x = np.array(data.draw(several), dtype=np.float32)
    x = x[x.any(axis=1)]
    if len(x):
        scale = data.draw(st.sampled_from([1.0, 0.25, 1.0 / 3.0]))
        offsets = data.draw(
            st.lists(number, min_size=min(8, len(rows)), max_size=min(8, len(rows)))
        )
        weights = cell_weights(rows, scale=scale, soar_lambda=soar_lambda, offsets=offsets)
        assert_as_defined(weights, x)


@given(data=st.data(), dims=st.integers(1, 5))
@settings(max_examples=100, deadline=None)
def test_tables_of_bits(data, dims):
    number = st.integers(-3, 3)
    vector = st.lists(number, min_size=dims, max_size=dims)
    rows = data.draw(st.lists(vector, min_size=6, max_size=6))
    x = np.array(data.draw(st.lists(vector, min_size=1, max_size=9)), dtype=np.float32)
    x = x[x.any(axis=1)]
    offsets = np.array(data.draw(st.lists(number, min_size=6, max_size=6)), dtype=np.float64)
    if len(x):
        tables = replace(
            cell_weights(rows),
            bucket_kind="bits",
            bucket_offsets=offsets,
            centroids=np.zeros((16, dims), np.float32),
            n_tables=2,
        )
        assert_as_defined(tables, x)


@pytest.mark.parametrize("soar_lambda", [0.5, 1.0])
def test_the_models_file_gives_the_same_but_for_ties(soar_lambda):
    rng = np.random.default_rng(7)
    weights = cell_weights(spherical(rng, 50, 20)[:40], soar_lambda=soar_lambda)
    session = open_session(linear_hash_to_onnx(weights))
    x = rng.standard_normal((500, 20)).astype(np.float32)
    bits, buckets = run_in_batches(session, ["bits", "buckets"], x)
    hashing = LinearHash(weights)
    assert (bits == hashing.bits(x)).all()
    assert (buckets == hashing.buckets(x)).all()


@pytest.mark.parametrize("n_cells", [3, 1000])
def test_all_vectors_of_many_batches(n_cells):
    rng = np.random.default_rng(5)
    rows = spherical(rng, n_cells, 20)
    hashing = LinearHash(cell_weights(rows))
    x = rng.standard_normal((1000, 20)).astype(np.float32)
    seen = []
    whole = hashing.buckets(x, lambda *said: seen.append(said))
    assert seen[-1] == ("hashing", 1000, 1000)
    for row in (0, 127, 128, 999):
        assert (hashing.buckets(x[row : row + 1])[0] == whole[row]).all()


def test_sums_are_added_in_the_order_of_the_definition():
    """Two large numbers that cancel out leave the small one, or do not, by when they come."""
    signs = np.array([[1], [-1], [1]])
    rows = 5 * signs * np.ones((3, 12))
    x = np.zeros((3, 12), dtype=np.float32)
    x[:, [5, 6]] = 2.0**60, -(2.0**60)
    x[[0, 1, 2], [3, 4, 8]] = 1.0
    weights = cell_weights(rows, scale=1.0 / 20.0)
    assert LinearHash(weights).bits(x)[:, 0].tolist() == [True, False, True]
    assert_as_defined(weights, x)
