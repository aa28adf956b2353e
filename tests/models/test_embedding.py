"""Embeddings of images: the network, folders and npz files, and Fashion-MNIST."""

import json

import numpy as np
import pytest
import torch
from benchmarks.data import load_fashion_mnist
from click.testing import CliRunner
from PIL import Image
from support.vectors import unit
from torch.nn import functional

from meta4.adapter.cli.main import cli
from meta4.errors import ArtifactError, InputError
from meta4.ingest.documents import Refusal
from meta4.ingest.images import ImageSource
from meta4.models.graphs.runtime import open_session
from meta4.models.images.image_models import IMAGE_MODELS, load_image_network
from meta4.models.images.image_network import image_network_to_onnx
from meta4.models.images.published_weights import image_weights

PACKAGE = IMAGE_MODELS["efficientnet-lite0"].package


def embed(*arguments):
    return CliRunner().invoke(cli, ["embed", "images", *map(str, arguments)], standalone_mode=False)


def convolved(x, weights, name, norm, stride=1, clip=True):
    """As torch computes it, batch norm by itself, padded as TensorFlow does."""
    kernel = weights[f"{name}.weight"]
    size, side = kernel.shape[-1], x.shape[-1]
    lacking = max(0, (-(-side // stride) - 1) * stride + size - side)
    before, after = lacking // 2, lacking - lacking // 2
    x = functional.pad(x, (before, after, before, after))
    groups = len(kernel) if kernel.shape[1] == 1 else 1
    x = functional.conv2d(x, kernel, stride=stride, groups=groups)
    parts = [weights[f"{norm}.{p}"] for p in ("running_mean", "running_var", "weight", "bias")]
    x = functional.batch_norm(x, *parts, eps=1e-3)
    return x.clamp(0, 6) if clip else x


def test_the_graph_is_the_network_in_torch():
    weights = {k: torch.from_numpy(v) for k, v in image_weights(PACKAGE, "a test").items()}
    images = np.random.default_rng(0).integers(0, 256, (2, 64, 64, 3)).astype(np.uint8)
    x = torch.from_numpy((images.astype(np.float32) - 127) / 128).permute(0, 3, 1, 2)
    x = convolved(x, weights, "_conv_stem", "_bn0", 2)
    strides = [1, 2, 1, 2, 1, 2, 1, 1, 1, 1, 1, 2, 1, 1, 1, 1]  # of lite0's sixteen blocks
    for i, stride in enumerate(strides):
        name, entry = f"_blocks.{i}.", x
        if i:
            x = convolved(x, weights, f"{name}_expand_conv", f"{name}_bn0")
        x = convolved(x, weights, f"{name}_depthwise_conv", f"{name}_bn1", stride)
        x = convolved(x, weights, f"{name}_project_conv", f"{name}_bn2", clip=False)
        x = x + entry if x.shape == entry.shape else x
    expected = convolved(x, weights, "_conv_head", "_bn1").mean((2, 3)).numpy()
    session = open_session(load_image_network("efficientnet-lite0"))
    (features,) = session.run(["features"], {"image": images})
    assert features.shape == (2, 1280)
    assert np.abs(features - expected).max() < 1e-4


def test_weights_of_another_network_are_refused():
    with pytest.raises(ArtifactError, match="_conv_stem"):
        image_network_to_onnx({"fc.weight": np.ones((3, 3), dtype=np.float32)})


def test_fashion_mnist_classes_lie_together(tmp_path):
    """Of an image's nearest more are of its class than of the nearest by pixels at 28 x 28."""
    try:
        images, _ = load_fashion_mnist()
    except InputError as error:
        pytest.skip(str(error))
    pixels = images.vectors[:600].astype(np.uint8).reshape(-1, 28, 28)
    labels = images.labels[:600]
    np.savez(tmp_path / "x.npz", images=pixels, label=labels)
    done = embed(tmp_path / "x.npz", "--size", 96, "--out", tmp_path / "x.ndjson", "--json")
    assert done.exception is None
    said = json.loads(done.stdout)
    assert (said["images"], said["dims"], said["refused"]) == (600, 1280, 0)
    rows = [json.loads(line) for line in (tmp_path / "x.ndjson").read_text().splitlines()]
    assert [row["_id"] for row in rows] == [str(i) for i in range(600)]
    assert [row["label"] for row in rows] == labels.tolist()

    def agreeing(x):
        cosines = unit(x) @ unit(x).T
        np.fill_diagonal(cosines, -2)
        return float(np.mean(labels[np.argsort(-cosines, axis=1)[:, :5]] == labels[:, None]))

    features = np.array([row["embedding"] for row in rows], dtype=np.float32)
    assert agreeing(features) > max(0.7, agreeing(images.vectors[:600]) - 0.02)


def test_a_folder_keeps_its_paths_and_says_what_is_no_image(tmp_path):
    photos = tmp_path / "photos"
    (photos / "red").mkdir(parents=True)
    Image.new("RGB", (40, 20), "red").save(photos / "red" / "a.PNG")
    Image.new("L", (10, 10), 7).save(photos / "b.jpg")
    (photos / "red" / "spoiled.gif").write_bytes(b"GIF89a nothing")
    (photos / "notes.txt").write_text("no image")
    done = embed(photos, "--size", 32, "--out", tmp_path / "x.ndjson")
    assert done.exception.code == 2
    assert "2 embeddings of 1280 dimensions" in done.stdout
    assert "1 files left out" in done.stdout
    rows = [json.loads(line) for line in (tmp_path / "x.ndjson").read_text().splitlines()]
    assert [(row["_id"], row.get("folder")) for row in rows] == [
        ("b.jpg", None),
        ("red/a.PNG", "red"),
    ]
    assert not (tmp_path / "x.partial").exists()
    found = list(ImageSource(photos, 8))
    assert isinstance(found[2], Refusal)
    assert found[2].id == "red/spoiled.gif"
    assert found[1].pixels.shape == (8, 8, 3)
    assert (found[1].pixels == [255, 0, 0]).all()


def test_a_folder_without_a_readable_image_leaves_nothing(tmp_path):
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "a.png").write_bytes(b"nothing")
    refused = embed(tmp_path / "photos", "--out", tmp_path / "x.ndjson")
    assert "none of 1 files" in str(refused.exception)
    assert [file.name for file in tmp_path.iterdir()] == ["photos"]


def test_npy_has_its_ids_beside_it(tmp_path):
    np.savez(tmp_path / "x.npz", np.zeros((3, 9, 9, 3), dtype=np.uint8))
    assert embed(tmp_path / "x.npz", "--size", 32, "--out", tmp_path / "x.npy").exception is None
    assert np.load(tmp_path / "x.npy").shape == (3, 1280)
    assert (tmp_path / "x.txt").read_text().split() == ["0", "1", "2"]


@pytest.mark.parametrize(
    ("arrays", "words"),
    [
        ({"images": np.zeros((2, 4, 4), dtype=np.float32)}, "expected bytes"),
        ({"images": np.zeros((2, 4), dtype=np.uint8)}, "expected bytes"),
        ({"a": np.zeros(2), "b": np.zeros(2)}, "expected an array 'images', got a, b"),
    ],
)
def test_npz_files_without_images_are_refused(tmp_path, arrays, words):
    np.savez(tmp_path / "x.npz", **arrays)
    refused = embed(tmp_path / "x.npz", "--out", tmp_path / "x.npy")
    assert isinstance(refused.exception, InputError)
    assert words in str(refused.exception)
    assert not (tmp_path / "x.npy").exists()


def test_what_is_no_source_or_no_target_is_refused(tmp_path):
    (tmp_path / "x.npz").write_bytes(b"nothing")
    (tmp_path / "empty").mkdir()
    for arguments, words in (
        ((tmp_path / "x.npz", "--out", "x.csv"), "ending in .ndjson or .npy"),
        ((tmp_path / "x.npz", "--out", tmp_path / "x.npy"), "not an npz file"),
        ((tmp_path / "empty", "--out", tmp_path / "x.npy"), "no images in it"),
        ((tmp_path / "none", "--out", tmp_path / "x.npy"), "a folder of images"),
    ):
        refused = embed(*arguments)
        assert isinstance(refused.exception, InputError)
        assert words in str(refused.exception)
