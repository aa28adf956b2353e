"""Products of many rows with one vector or several, by blocks."""

import numpy as np
import pytest

from meta4.models.embeddings import matrix_products, products


@pytest.mark.parametrize("n", [0, 1, 3, 40, 41, 1000])
@pytest.mark.parametrize("dims", [1, 7, 100, 4096, 5000])
def test_they_are_those_of_one_product(n, dims):
    rng = np.random.default_rng(n * dims)
    rows, vector = rng.standard_normal((n, dims)), rng.standard_normal(dims)
    found = products(rows.astype(np.float32), vector.astype(np.float32))
    assert found.dtype == np.float32
    assert np.allclose(found, rows @ vector, atol=1e-3 * np.sqrt(dims))


@pytest.mark.parametrize("n", [1, 7, 5000])
@pytest.mark.parametrize("dims", [1, 128, 129, 300])
@pytest.mark.parametrize("m", [1, 128])
def test_those_with_several_vectors_are_too(n, dims, m):
    rng = np.random.default_rng(n)
    rows, columns = rng.standard_normal((n, dims)), rng.standard_normal((dims, m))
    assert np.allclose(matrix_products(rows, columns), rows @ columns)
