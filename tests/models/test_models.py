import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.reference import reference_bits, reference_buckets

from meta4 import HashModel
from meta4.errors import EmbeddingError, InputError
from meta4.models.codes import hamming_distance, unpack_bits
from meta4.models.graphs.grid import GRID_MAX
from meta4.models.specs import CellsSpec, ItqSpec, LshSpec, cells_for


def test_onnxruntime_gives_the_reference_bits_and_buckets(model, vectors):
    x = vectors[5000:5300]
    hashes = model.hash(x)
    bits = unpack_bits(hashes.codes, model.manifest.n_bits)
    for row, vector in enumerate(x):
        assert (bits[row] == reference_bits(model.weights, vector)).all()
        assert hashes.buckets[row].tolist() == reference_buckets(model.weights, vector)


@given(scale=st.floats(1e-6, 1e6), row=st.integers(0, 3999))
@settings(max_examples=50, deadline=None)
def test_scaling_a_vector_keeps_its_hash(models, vectors, scale, row):
    x = vectors[row : row + 1]
    scaled = (x * np.float32(scale)).astype(np.float32)
    for model in models.values():
        before, after = model.hash(x), model.hash(scaled)
        assert (before.codes == after.codes).all()
        assert (before.buckets == after.buckets).all()


def test_batches_do_not_matter(model, vectors):
    whole = model.hash(vectors[:150])
    for row in (0, 63, 64, 149):
        alone = model.hash(vectors[row : row + 1])
        assert (alone.codes[0] == whole.codes[row]).all()
        assert (alone.buckets[0] == whole.buckets[row]).all()


def test_the_same_seed_gives_the_same_model(vectors):
    for spec in (LshSpec(seed=7), ItqSpec(seed=7, iterations=3), CellsSpec(n_buckets=16, seed=7)):
        one, other = (HashModel.fit(spec, vectors[:500]) for _ in range(2))
        assert one.manifest == other.manifest
        changed = HashModel.fit(spec.model_copy(update={"seed": 8}), vectors[:500])
        assert changed.manifest.sha256 != one.manifest.sha256


@pytest.mark.parametrize("n_bits", [3, 13, 64, 250, 1024])
@pytest.mark.parametrize("kind", [LshSpec, ItqSpec, CellsSpec])
def test_any_code_length(vectors, kind, n_bits):
    extra = {"n_buckets": 8} if kind is CellsSpec else {"bits_per_table": 4}
    if kind is ItqSpec:
        extra["iterations"] = 2
    model = HashModel.fit(kind(n_bits=n_bits, **extra), vectors[:300])
    codes = model.encode(vectors[:50])
    assert codes.shape == (50, -(-n_bits // 8))
    bits = unpack_bits(codes, n_bits)
    assert len(np.unique(bits, axis=0)) > min(10, 2 ** (n_bits - 1))


def test_weights_lie_on_the_grid(model):
    weights = model.weights
    for rows in (weights.bucket_rows, weights.code_rows):
        assert rows.dtype == np.int16
        assert np.abs(rows).max() <= GRID_MAX
    lengths = np.linalg.norm(weights.centroids, axis=1)
    assert np.logical_or(np.isclose(lengths, 1, atol=1e-5), lengths == 0).all()


def test_near_vectors_have_near_codes(model, vectors):
    """Angle predicts Hamming distance: the law that every code here is built on."""
    x = vectors[:400]
    unit = x / np.linalg.norm(x, axis=1, keepdims=True)
    angles = np.arccos(np.clip(unit @ unit.T, -1, 1))
    distances = hamming_distance(model.encode(x), model.encode(x))
    pairs = np.triu_indices(400, 1)
    assert np.corrcoef(angles[pairs], distances[pairs])[0, 1] > 0.5


def test_itq_quantises_better_than_random_planes(vectors):
    """Gong & Lazebnik's point: neighbours differ in fewer bits than under random planes."""
    x = vectors[:3000]
    unit = x / np.linalg.norm(x, axis=1, keepdims=True)
    truth = np.argsort(-(unit[:100] @ unit.T), axis=1)[:, 1:11]

    def recall(spec):
        codes = HashModel.fit(spec, x).encode(x)
        order = np.argsort(hamming_distance(codes[:100], codes), axis=1, kind="stable")[:, 1:51]
        return np.mean([len(set(a) & set(b)) / 10 for a, b in zip(truth, order, strict=True)])

    assert recall(ItqSpec(n_bits=64)) > recall(LshSpec(n_bits=64)) + 0.02


def test_cells_put_each_document_into_two(models, vectors):
    buckets = models["cells"].buckets(vectors[:1000])
    assert buckets.shape == (1000, 2)
    assert (buckets[:, 0] != buckets[:, 1]).all()
    assert buckets.max() < models["cells"].n_buckets


def test_bad_training_data_is_refused(vectors):
    bad = vectors[:100].copy()
    bad[7, 3] = np.nan
    with pytest.raises(EmbeddingError, match=r"1 of 100 rows .* row 7"):
        HashModel.fit(LshSpec(), bad)
    bad[7] = 0
    with pytest.raises(EmbeddingError, match="zero vectors"):
        HashModel.fit(LshSpec(), bad)
    with pytest.raises(EmbeddingError, match="expected a matrix"):
        HashModel.fit(LshSpec(), vectors[0])
    with pytest.raises(InputError, match="fewer --buckets"):
        HashModel.fit(CellsSpec(n_buckets=200), vectors[:100])


def test_other_dimensions_are_refused(model):
    with pytest.raises(EmbeddingError, match="100 dimensions"):
        model.hash(np.ones((2, 7), dtype=np.float32))


@given(n=st.integers(1, 10**9))
@settings(max_examples=200, deadline=None)
def test_there_are_cells_for_any_number_of_documents(n):
    """No more than there are documents, and about 40 documents each wherever that can be."""
    n_cells = cells_for(n)
    assert 2 <= n_cells <= max(n, 2)
    assert n_cells <= cells_for(2 * n)
    if 1_000 <= n <= 400_000:
        assert 25 <= n / n_cells <= 60
