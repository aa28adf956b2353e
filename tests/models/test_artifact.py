import json

import pytest

from meta4 import HashModel
from meta4.errors import ArtifactError, ConflictError


def test_save_and_load_give_the_same_model(model, vectors, tmp_path):
    model.save(tmp_path / "m")
    loaded = HashModel.load(tmp_path / "m")
    assert loaded.manifest == model.manifest
    assert (loaded.encode(vectors[:50]) == model.encode(vectors[:50])).all()
    model.save(tmp_path / "m")  # the same again changes nothing


def test_another_model_is_not_overwritten(models, tmp_path):
    models["lsh"].save(tmp_path)
    with pytest.raises(ConflictError, match="another model"):
        models["itq"].save(tmp_path)
    assert HashModel.load(tmp_path).manifest.kind == "lsh"


def test_manifest_says_what_there_is(models, tmp_path):
    models["cells"].save(tmp_path)
    manifest = json.loads((tmp_path / "manifest.json").read_text())
    assert manifest["spec"]["kind"] == "cells"
    assert (manifest["dims"], manifest["n_buckets"]) == (100, 128)
    assert manifest["training"]["n"] == 4000
    assert len(manifest["sha256"]) == len(manifest["training"]["fingerprint"]) == 64


def truncate(folder):
    data = (folder / "model.onnx").read_bytes()
    (folder / "model.onnx").write_bytes(data[: len(data) // 2])


def flip_a_byte(folder):
    data = bytearray((folder / "model.onnx").read_bytes())
    data[len(data) // 2] ^= 1
    (folder / "model.onnx").write_bytes(data)


def remove_model(folder):
    (folder / "model.onnx").unlink()


def break_manifest(folder):
    (folder / "manifest.json").write_text('{"format": 1')


def future_manifest(folder):
    manifest = json.loads((folder / "manifest.json").read_text())
    (folder / "manifest.json").write_text(json.dumps(manifest | {"format": 2}))


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (truncate, "truncated or altered"),
        (flip_a_byte, "truncated or altered"),
        (remove_model, "model.onnx is missing"),
        (break_manifest, "not a manifest"),
        (future_manifest, "format"),
    ],
)
def test_damage_is_found(models, tmp_path, damage, words):
    models["itq"].save(tmp_path)
    damage(tmp_path)
    with pytest.raises(ArtifactError, match=words):
        HashModel.load(tmp_path)
