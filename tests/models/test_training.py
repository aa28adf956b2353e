"""Hash networks: losses against slow references, and small trainings from end to end."""

import csv
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import torch
from support.command_line import command, hear_interrupts, meta4_here
from support.specs import CPU
from support.vectors import mixture, unit

from meta4 import HashModel
from meta4.errors import InputError
from meta4.models.codes import hamming_distance, pack_bits, unpack_bits
from meta4.models.graphs.network import NetworkHash
from meta4.models.graphs.network_graph import network_hash_to_onnx
from meta4.models.kinds.cells import fit_cell_buckets
from meta4.models.specs import CatalyzerSpec, DtshSpec, LshSpec, NpHashSpec
from meta4.models.training.classes import NOISE, classes_of_clusters
from meta4.models.training.figures import CSV_FILE, PLOT_FILE, training_figures
from meta4.models.training.losses import (
    neural_proxy,
    spreading,
    straight_through_signs,
    triplet_likelihood,
)
from meta4.models.training.networks import HashNetwork
from meta4.models.training.options import CHECKPOINT, TrainingOptions

SMALL = {"layers": (256,), "n_buckets": 16, "iterations": 3, "batch": 128, "seed": 5}
NPHASH = NpHashSpec(n_bits=24, n_proxies=500, k=50, epochs=12.0, rate=4e-3, **SMALL)
CATALYZER = CatalyzerSpec(n_bits=24, epochs=12.0, **SMALL)


def recall_by_codes(model, base, queries):
    """Share of queries whose nearest vector is among the 10 nearest codes."""
    nearest = np.argmax(unit(queries) @ unit(base).T, axis=1)
    distances = hamming_distance(model.encode(queries), model.encode(base))
    own = distances[np.arange(len(queries)), nearest]
    before = (distances < own[:, None]).sum(axis=1)
    level = (distances == own[:, None]).sum(axis=1)
    return np.mean(np.clip((10 - before) / level, 0, 1))


# Losses


def test_triplet_likelihood_is_the_slow_sum():
    rng = np.random.default_rng(0)
    codes, labels = rng.standard_normal((9, 5)), np.array([0, 0, 0, 1, 1, 2, 2, 2, 3])
    terms = []
    for q in range(9):
        for p in range(9):
            for n in range(9):
                if p != q and labels[p] == labels[q] and labels[n] != labels[q]:
                    gap = codes[q] @ codes[p] / 2 - codes[q] @ codes[n] / 2 - 2.5
                    terms.append(-(gap - np.log1p(np.exp(gap))))
    slow = np.mean(terms) + 0.3 * np.mean((codes - np.sign(codes)) ** 2)
    fast = triplet_likelihood(
        torch.tensor(codes), torch.tensor(labels), margin=2.5, quantisation=0.3
    )
    assert float(fast) == pytest.approx(slow)


def test_a_batch_of_one_class_has_no_triplets_and_a_gradient():
    codes = torch.randn(4, 3, requires_grad=True)
    loss = triplet_likelihood(codes, torch.zeros(4), margin=1.0, quantisation=0.0)
    loss.backward()
    assert loss.item() == 0


def test_neural_proxy_is_the_slow_divergence():
    rng = np.random.default_rng(1)
    proxies = unit(rng.standard_normal((12, 6)))
    codes = np.tanh(rng.standard_normal((12, 8)))

    def softmax(similarities):
        exponentials = np.exp(similarities / np.sqrt(similarities.var() + 1e-6) / 0.7)
        return exponentials / exponentials.sum()

    slow = []
    for row in range(3):
        cosines = proxies @ proxies[row]
        best = [other for other in np.argsort(-cosines) if other != row][:5]
        hamming = codes[best] @ codes[row] / 16 + 0.5
        p, q = softmax(cosines[best]), softmax(hamming)
        slow.append((p * np.log(p / q)).sum())
    tensors = [torch.tensor(value) for value in (proxies, codes)]
    fast = neural_proxy(*tensors, n_queries=3, k=5, temperature=0.7)
    assert float(fast) == pytest.approx(np.mean(slow))


def test_signs_have_the_gradient_of_tanh():
    numbers = torch.tensor([-2.0, -0.1, 0.3], requires_grad=True)
    signs = straight_through_signs(numbers, 3.0)
    signs.sum().backward()
    assert signs.tolist() == [-1, -1, 1]
    expected = 3 * (1 - np.tanh(3 * numbers.detach().numpy()) ** 2)
    np.testing.assert_allclose(numbers.grad, expected, rtol=1e-5)


def test_spreading_is_the_slow_sum():
    rng = np.random.default_rng(2)
    a, p, n = (unit(rng.standard_normal((7, 4))) for _ in range(3))
    rank = np.mean(
        [
            max(0, np.linalg.norm(x - y) - np.linalg.norm(x - z))
            for x, y, z in zip(a, p, n, strict=True)
        ]
    )
    nearest = [min(np.linalg.norm(a[i] - a[j]) for j in range(7) if j != i) for i in range(7)]
    slow = rank - 0.2 * np.mean(np.log(nearest))
    fast = spreading(*(torch.tensor(value) for value in (a, p, n)), weight=0.2)
    assert float(fast) == pytest.approx(slow, rel=1e-5)


# Training figures


def test_the_figures_are_ideal_with_a_code_for_each_class():
    labels = np.repeat([3, 7, 9], 5)
    codes = labels[:, None].astype(np.uint8)
    assert training_figures(codes, labels) == (1.0, 1.0, 3)


def test_the_figures_are_the_slow_means():
    rng = np.random.default_rng(3)
    codes, labels = rng.integers(0, 4, (60, 1)).astype(np.uint8), rng.integers(0, 3, 60)
    coverage, computation = [], []
    for code, label in zip(codes, labels, strict=True):
        with_code, of_class = (codes == code)[:, 0], labels == label
        coverage.append((with_code & of_class).sum() / of_class.sum())
        computation.append(with_code.sum() / of_class.sum())
    found = training_figures(codes, labels)
    assert found == pytest.approx((np.mean(coverage), np.mean(computation), 4))


# What is exported


@pytest.mark.parametrize(("activation", "batch_norm"), [("relu", True), ("leaky_relu", False)])
def test_onnx_gives_the_bits_of_torch(vectors, activation, batch_norm):
    torch.manual_seed(0)
    x = torch.from_numpy(unit(vectors[:10_000]).astype(np.float32))
    network = HashNetwork(
        x.mean(0), (96, 48), 40, activation=activation, batch_norm=batch_norm, dropout=(0.4,)
    )
    network.train()
    for start in range(0, 2000, 200):  # moves the batch norms' running means
        network(x[start : start + 200] * 1.5)
    cells = fit_cell_buckets(
        vectors[:500], NpHashSpec(n_buckets=8), np.random.default_rng(0), lambda *_: None
    )
    margins = network.margins(x).numpy()
    fitted = NetworkHash(network.export(), cells, cells.centroids)
    manifest = HashModel.fit(LshSpec(), vectors[:10]).manifest
    spec = NpHashSpec(n_bits=40, n_buckets=8)
    update = {"spec": spec, "n_buckets": 8, "buckets_per_document": 2}
    model = HashModel(manifest.model_copy(update=update), network_hash_to_onnx(fitted))
    bits = unpack_bits(model.encode(vectors[:10_000]), 40)
    differ = (bits != (margins > 0)) & (np.abs(margins) > 1e-5)
    assert differ.sum() == 0
    assert np.allclose(model.margins(vectors[:100]), margins[:100], atol=1e-4)


# Small trainings


@pytest.fixture(scope="module")
def trained(vectors):
    """One small model of each kind that learns without labels."""
    return {
        spec.kind: HashModel.fit(spec, vectors[:4000], options=CPU) for spec in (NPHASH, CATALYZER)
    }


@pytest.mark.parametrize("kind", ["nphash", "catalyzer"])
def test_learned_codes_rank_better_than_random_hyperplanes(trained, vectors, kind):
    lsh = HashModel.fit(LshSpec(n_bits=24, seed=5), vectors[:4000])
    base, queries = vectors[:4000], vectors[10_000:10_400]
    learned, random = (recall_by_codes(model, base, queries) for model in (trained[kind], lsh))
    assert learned > 1.1 * random


def test_the_same_seed_gives_the_same_codes(vectors):
    spec = NPHASH.model_copy(update={"epochs": 0.5})
    one, same = (HashModel.fit(spec, vectors[:1000], options=CPU) for _ in range(2))
    other = HashModel.fit(spec.model_copy(update={"seed": 6}), vectors[:1000], options=CPU)
    assert (one.encode(vectors[:500]) == same.encode(vectors[:500])).all()
    assert (one.encode(vectors[:500]) != other.encode(vectors[:500])).any()


@pytest.mark.parametrize("spec", [NPHASH, CATALYZER])
def test_a_stopped_training_goes_on_where_it_was(vectors, tmp_path, spec):
    spec = spec.model_copy(update={"epochs": 4.0, "batch": 32})
    data = vectors[:1000]

    def stop(stage, done, _total):
        if stage.startswith("training") and done == 37:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        HashModel.fit(spec, data, stop, options=TrainingOptions("cpu", tmp_path))
    assert (tmp_path / CHECKPOINT).exists()
    steps = []
    model = HashModel.fit(
        spec, data, lambda *step: steps.append(step), options=TrainingOptions("cpu", tmp_path, True)
    )
    taken = [done for stage, done, _ in steps if stage.startswith("training")]
    assert taken[0] == 38
    lsh = HashModel.fit(LshSpec(n_bits=24), data)
    queries = vectors[10_000:10_200]
    assert recall_by_codes(model, data, queries) > recall_by_codes(lsh, data, queries)
    if spec.kind == "nphash":  # catalyzer mines its negatives anew when it goes on
        at_once = HashModel.fit(spec, data, options=CPU)
        assert (model.encode(queries) == at_once.encode(queries)).all()


def test_another_training_is_not_resumed(vectors, tmp_path):
    def stop(stage, done, _total):
        if stage.startswith("training"):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        HashModel.fit(NPHASH, vectors[:500], stop, options=TrainingOptions("cpu", tmp_path))
    resuming = TrainingOptions("cpu", tmp_path, True)
    with pytest.raises(InputError, match="another spec or other data"):
        HashModel.fit(NPHASH, vectors[:600], options=resuming)
    with pytest.raises(InputError, match="nothing to resume"):
        HashModel.fit(NPHASH, vectors[:500], options=TrainingOptions("cpu", tmp_path / "x", True))


@pytest.mark.parametrize("output", ["tanh", "sigmoid", "none"])
def test_dtsh_finds_a_code_for_each_class(tmp_path, output):
    x, classes = mixture()
    spec = DtshSpec(n_bits=7, output=output, epochs=12.0, layers=(64, 32), dropout=(0.1,))
    options = TrainingOptions("cpu", tmp_path)
    model = HashModel.fit(spec, x, labels=[f"class {c}" for c in classes], options=options)
    unseen, theirs = mixture(seed=0, n=2400)
    hashes = model.hash(unseen[1200:])
    figures = training_figures(hashes.codes, theirs[1200:])
    assert figures.coverage > 0.9
    # What saturates may stop with a code for several classes, as the paper reports.
    assert figures.computation < (1.1 if output == "none" else 3)
    assert figures.n_codes >= (6 if output == "none" else 2)
    # The code is the bucket: its bits are the bucket's number.
    bits = unpack_bits(hashes.codes, 7)
    assert (hashes.buckets[:, 0] == bits @ (1 << np.arange(6, -1, -1))).all()
    rows = list(csv.DictReader((tmp_path / CSV_FILE).open()))
    assert int(rows[0]["step"]) == 100
    assert float(rows[-1]["coverage"]) > float(rows[0]["coverage"]) - 0.05
    assert (tmp_path / PLOT_FILE).read_bytes()[:4] == b"\x89PNG"


@pytest.mark.parametrize("clusters", ["dbscan", "hdbscan", "kmeans"])
def test_classes_are_found_without_labels(clusters):
    x, classes = mixture(noise=0.15)
    spec = DtshSpec(clusters=clusters, n_clusters=6)
    found = classes_of_clusters(unit(x).astype(np.float32), spec)
    kept = found != NOISE
    assert kept.mean() > 0.8
    pairs = found[kept][:, None] == found[kept][None, :]
    truth = classes[kept][:, None] == classes[kept][None, :]
    assert (pairs == truth).mean() > 0.98


# What is refused


def test_what_cannot_be_trained_is_refused(vectors):
    x, classes = mixture(n=100)
    small = DtshSpec(layers=(8,), n_bits=4)
    constant = x.copy()
    constant[:, 3] = 0.5
    for spec, data, labels, words in (
        (small, x, np.zeros(100), "all 100 vectors are of class"),
        (small, x, classes[:99], "one for each of the 100 vectors"),
        (small.model_copy(update={"batch": 128}), x, classes, "smaller --batch"),
        (small, constant, classes, "first is dimension 3"),
        (small.model_copy(update={"eps": 1e-6}), x, None, "--clusters kmeans"),
        (NPHASH.model_copy(update={"batch": 32}), x, classes, "leave --labels out"),
        (NPHASH.model_copy(update={"rate": 1e30, "batch": 32}), x, None, "lower --rate"),
    ):
        with pytest.raises(InputError, match=words):
            HashModel.fit(spec, data, labels=labels, options=CPU)
    with pytest.raises(InputError, match="learns nothing from labels"):
        HashModel.fit(LshSpec(), vectors[:20], labels=np.arange(20))


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_missing_gpu_is_said():
    with pytest.raises(InputError, match="--device cpu or auto"):
        HashModel.fit(
            DtshSpec(), mixture()[0], labels=mixture()[1], options=TrainingOptions("cuda")
        )


def test_training_without_torch_names_the_install_command():
    code = (
        "import sys; sys.modules['torch'] = None\n"
        "import numpy as np\nfrom meta4 import HashModel\n"
        "from meta4.models.specs import DtshSpec\n"
        "HashModel.fit(DtshSpec(), np.eye(40))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "pip install 'meta4[train]'" in done.stderr.splitlines()[-1]


def test_packed_codes_of_few_bits():
    bits = np.array([[True, False, True]])
    assert pack_bits(bits).tolist() == [[0b10100000]]


def test_a_stopped_command_line_training_is_resumed(tmp_path):
    """As a user does it: Ctrl-C, then the same command with --resume."""
    x, classes = mixture()
    np.save(tmp_path / "x.npy", x)
    (tmp_path / "classes.txt").write_text("\n".join(f"class {c}" for c in classes))
    out = tmp_path / "model"
    arguments = [
        "train",
        tmp_path / "x.npy",
        "--model",
        "dtsh",
        "--labels",
        tmp_path / "classes.txt",
    ]
    arguments += ["--bits", 5, "--layers", "32,16", "--dropout", ".2", "--device", "cpu"]
    arguments += ["--out", out, "--json"]
    stopped = subprocess.Popen(
        command(*arguments, "--epochs", 100_000),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=hear_interrupts,
    )
    try:
        wait_for(out / CHECKPOINT)
        stopped.send_signal(signal.SIGINT)
        _, said = stopped.communicate(timeout=60)
    finally:
        stopped.kill()
    assert stopped.returncode == 130
    assert "--resume goes on" in said
    other = meta4_here(*arguments, "--epochs", 4, "--resume")
    assert other.returncode == 2
    assert "another spec" in other.stderr
    assert (out / CSV_FILE).exists()
    assert not (out / "manifest.json").exists()


def wait_for(path):
    deadline = time.monotonic() + 60
    while not path.exists():
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.mark.parametrize(
    ("kind", "words"), [("cells", "fitted in one go"), ("learned", "nothing to resume")]
)
def test_only_what_is_trained_is_resumed(tmp_path, kind, words):
    np.save(tmp_path / "x.npy", mixture(n=200)[0])
    arguments = ["train", tmp_path / "x.npy", "--model", kind, "--buckets", 4, "--resume"]
    arguments += ["--out", tmp_path / "model", *(["--batch", 32] if kind == "learned" else [])]
    done = meta4_here(*arguments)
    assert done.returncode == 2
    assert words in done.stderr
