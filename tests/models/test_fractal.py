"""Box counting on sets whose dimension is known, and what LSH is tuned to."""

from math import ceil, log, log2

import numpy as np
import pytest

from meta4.errors import InputError
from meta4.models.fractal import correlation_dimension, draw_dimension, pairs_in_boxes
from meta4.models.kinds.lsh_widths import radius, tune_lsh

DIMS = 50


def embedded(points, seed=1):
    """In 50 dimensions, turned at random."""
    rng = np.random.default_rng(seed)
    axes = np.linalg.qr(rng.standard_normal((DIMS, DIMS)))[0]
    return points @ axes[:, : points.shape[1]].T


def sierpinski(n, seed=2):
    """Points of the triangle by the chaos game."""
    rng = np.random.default_rng(seed)
    corners = np.array([[0.0, 0.0], [1.0, 0.0], [0.5, 0.75**0.5]])
    points = np.zeros((n, 2))
    for _ in range(40):
        points = (points + corners[rng.integers(0, 3, n)]) / 2
    return points


@pytest.mark.parametrize(
    ("points", "dimension"),
    [
        (np.random.default_rng(3).random((20_000, 1)), 1.0),
        (np.random.default_rng(3).random((20_000, 2)), 2.0),
        (sierpinski(20_000), log2(3)),
    ],
    ids=["line", "plane", "sierpinski"],
)
def test_known_sets_have_their_dimension(points, dimension):
    for seed in range(3):
        found = correlation_dimension(embedded(points), seed=seed)
        assert found.dimension == pytest.approx(dimension, rel=0.05)


def test_pairs_in_boxes_are_the_slow_count():
    x = np.random.default_rng(0).random((300, 3)).astype(np.float32)
    side = 0.4
    shift = np.random.default_rng(5).random(3, dtype=np.float32)  # what is drawn first
    boxes = np.floor(x * np.float32(1 / side) + shift)
    slow = sum(bool((boxes[i] == boxes[j]).all()) for i in range(300) for j in range(i))
    assert slow > 100
    assert pairs_in_boxes(x, side, np.random.default_rng(5)) == slow


def test_neither_place_nor_scale_nor_copies_matter():
    x = embedded(np.random.default_rng(3).random((2_000, 2)))
    found = correlation_dimension(x).dimension
    assert correlation_dimension(1000 * x - 7).dimension == pytest.approx(found, rel=0.05)
    copies = correlation_dimension(np.vstack([x] * 5))
    assert (copies.n, copies.dimension) == (2_000, pytest.approx(found))


def test_the_line_has_its_own_pairs(tmp_path):
    found = correlation_dimension(embedded(np.random.default_rng(3).random((5_000, 1))))
    for side, pairs, fitted in zip(found.sides, found.pairs, found.fitted, strict=True):
        if fitted:
            assert found.side_of(pairs) == pytest.approx(side, rel=0.3)
    draw_dimension({"a line": found, "again": found}, tmp_path / "line.png")
    assert (tmp_path / "line.png").read_bytes().startswith(b"\x89PNG")


def test_too_few_vectors_are_refused():
    x = np.random.default_rng(0).random((99, 4))
    with pytest.raises(InputError, match="100 distinct vectors or more, got 99"):
        correlation_dimension(np.vstack([x, x]))


def test_functions_and_tables_are_those_of_the_equations():
    dimension, n, k = 5.04, 6_000, 25
    tuning = tune_lsh(dimension, n, k)
    pairs_k, pairs_n = n * k / 2, n * (n - 1) / 2
    r = 1.2 * np.exp((log(pairs_k) - log(pairs_n)) / dimension)
    assert radius(1.2, tuning) == pytest.approx(r)
    assert tuning.functions == round(ceil(dimension + 1) * log(1.2 / r))
    assert tuning.tables == tuning.functions * (tuning.functions - 1) / 2


def test_more_neighbours_than_vectors_leave_one_table_of_two_functions():
    assert tune_lsh(4.0, 20, 25)[1:] == (2, 1)
