"""Sketches: what their products keep of the vectors', and how wide a window has to be."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from meta4 import HashModel
from meta4.models.embeddings import unit
from meta4.models.sketch import (
    LARGEST,
    SketchWeights,
    SketchWindows,
    fit_sketch,
    ranks_of,
    window_for,
    windows_of,
)
from meta4.models.specs import LshSpec


@pytest.fixture(scope="module")
def weights(vectors):
    return fit_sketch(vectors[:4000])


def test_products_of_sketches_are_those_of_vectors(weights, vectors):
    """All directions: what is left is rounding."""
    x = vectors[4000:4400]
    sketches = weights.sketches(x).astype(np.float64)
    cosines = unit(x) @ unit(x).T
    found = sketches @ sketches.T / np.square(sketches).sum(axis=1).mean()
    assert np.corrcoef(found.ravel(), cosines.ravel())[0, 1] > 0.999
    assert np.abs(sketches).max() <= LARGEST


def test_lengths_count_for_nothing(weights, vectors):
    x = vectors[:50]
    scaled = (x * np.float32(4.0)).astype(np.float32)
    assert np.array_equal(weights.sketches(x), weights.sketches(scaled))


def test_a_query_is_scaled_to_its_largest(weights, vectors):
    for query in vectors[:20]:
        assert np.abs(weights.of_query(query)).max() == LARGEST


def test_fewer_directions_are_the_leading_ones(vectors):
    model = HashModel.fit(LshSpec(), vectors[:3000])
    whole, few = model.sketch(100), model.sketch(32)
    assert np.array_equal(whole.sketches(vectors[:9])[:, :32], few.sketches(vectors[:9]))


def test_a_model_keeps_them(tmp_path, vectors):
    model = HashModel.fit(LshSpec(), vectors[:3000])
    model.save(tmp_path / "m")
    again = HashModel.load(tmp_path / "m")
    assert again.manifest.sketch_windows == model.manifest.sketch_windows != ()
    assert np.array_equal(
        again.sketch(64).sketches(vectors[:9]), model.sketch(64).sketches(vectors[:9])
    )


def test_windows_shrink_with_directions_and_hold_what_they_say(weights, vectors):
    x = vectors[:4000]
    windows = windows_of(weights, x)
    assert [n for n, _ in windows] == [32, 64, 96, 100]
    assert [w for _, w in windows] == sorted((w for _, w in windows), reverse=True)
    directions, window = windows[-1]
    queries = x[::40]
    held = []
    cosines = unit(queries) @ unit(x).T
    whole = weights.sketches(x).astype(int)
    for row, query in enumerate(queries):
        own = SketchWeights(weights.rows[:directions], weights.factor).of_query(query).astype(int)
        best = np.argsort(-(whole[:, :directions] @ own), kind="stable")[: window + 1]
        nearest = np.argsort(-cosines[row], kind="stable")[1:11]
        held.append(np.isin(nearest, best).mean())
    assert np.mean(held) >= 0.99


def test_one_vector_has_no_windows(weights, vectors):
    assert windows_of(weights, vectors[:1]) == ()


@given(
    st.lists(st.integers(1, 300), min_size=1, max_size=60),
    st.floats(0.01, 1.0),
)
def test_the_smallest_window_that_holds_a_share(ranks, held):
    window = window_for(ranks, held)
    inside = np.mean(np.asarray(ranks) <= window)
    assert inside >= held - 1e-9
    assert window == 1 or np.mean(np.asarray(ranks) <= window - 1) < held or window == min(ranks)


def test_ties_count_against_a_rank():
    scores = np.array([[5.0, 3.0, 5.0, 1.0]], dtype=np.float32)
    assert ranks_of(np.array([[0, 1, 3]]), scores).tolist() == [[2, 3, 4]]


WINDOWS = SketchWindows(
    ks=(1, 10, 100), windows={"0.9": (4, 20, 120), "0.99": (12, 40, 200), "0.999": (30, 70, 300)}
)


@given(st.integers(1, 5000), st.floats(0.01, 0.999))
def test_a_window_holds_k_and_grows_with_k_and_recall(k, recall):
    window = WINDOWS.window(k, recall)
    assert window >= k
    assert WINDOWS.window(k + 1, recall) >= window
    assert WINDOWS.window(k, min(recall + 0.01, 0.999)) >= window


def test_a_window_is_what_was_measured():
    assert WINDOWS.window(10, 0.99) == 40
    assert WINDOWS.window(10, 0.95) == 40
    assert WINDOWS.window(10, 0.5) == 20
    assert WINDOWS.window(10, 0.999) == 70
    assert WINDOWS.window(10, 0.9991) is None
    assert WINDOWS.window(200, 0.9) == 240


@pytest.mark.parametrize(
    "ks, windows",
    [
        ((), {"0.9": ()}),
        ((2,), {"0.9": (4,)}),
        ((1, 1), {"0.9": (4, 4)}),
        ((1, 10), {"0.9": (4,)}),
        ((1, 10), {"0.9": (4, 9)}),
        ((1,), {}),
        ((1,), {"1.5": (4,)}),
        ((1,), {"much": (4,)}),
    ],
)
def test_windows_out_of_a_mapping_are_checked(ks, windows):
    with pytest.raises(ValidationError):
        SketchWindows(ks=ks, windows=windows)
