import pytest
from support.words import FIELD, word_documents

from meta4 import HashModel
from meta4.adapter.catalog import read_spec
from meta4.adapter.engines.connection import connect
from meta4.adapter.engines.elasticsearch import ElasticsearchEngine
from meta4.adapter.engines.opensearch import OpenSearchEngine
from meta4.adapter.manage.indexes import (
    create_index,
    drop_index,
    list_indexes,
    pipeline_name,
    show_index,
)
from meta4.adapter.model_store import ModelStore, resolve_reference
from meta4.errors import (
    ArtifactError,
    ConflictError,
    InputError,
    NotFoundError,
    RefusedError,
    UnreachableError,
)
from meta4.models.specs import LshSpec

pytestmark = pytest.mark.server


def test_mapping_settings_and_meta(engine, make_index, index_name, models):
    spec = make_index(models["cells"], hashing="server")
    mapping = engine.mappings(index_name)[index_name]
    vector = mapping["properties"][FIELD]
    assert vector["type"] == engine.dialect.vector(spec)["type"]
    assert 100 in (vector.get("dimension"), vector.get("dims"))
    hashes = mapping["properties"]["meta4"]["properties"][FIELD]["properties"]
    assert hashes["bucket"]["type"] == "keyword"
    if isinstance(engine, OpenSearchEngine):
        assert hashes["code_0"] == {"type": "long", "index": False}
        assert len([name for name in hashes if name.startswith("code_")]) == 2  # 72 bits
    else:
        assert (hashes["bits_72"]["element_type"], hashes["bits_72"]["dims"]) == ("bit", 72)
    settings = engine.request("GET", f"/{index_name}/_settings")[index_name]["settings"]["index"]
    assert settings["sort"]["field"] == [f"meta4.{FIELD}.home"]
    if isinstance(engine, OpenSearchEngine):
        assert settings["knn.advanced"]["approximate_threshold"] == "-1"
    else:
        assert vector["index_options"]["type"] == "flat"
    assert settings["default_pipeline"] == pipeline_name(index_name)
    assert read_spec(engine, index_name) == spec


def test_creating_it_again_changes_nothing_and_another_spec_is_refused(
    engine, make_index, index_name, models
):
    spec = make_index(models["cells"])
    assert make_index(models["cells"]) == spec
    with pytest.raises(ConflictError, match=r"exists already with .*model"):
        make_index(models["itq"])
    with pytest.raises(ConflictError, match="strategy 'native'"):
        make_index(models["cells"], strategy="script")
    assert read_spec(engine, index_name) == spec


def test_an_index_of_somebody_else_is_not_touched(engine, index_name, make_index, models):
    engine.create_index(index_name, {"mappings": {"properties": {"a": {"type": "keyword"}}}})
    with pytest.raises(ConflictError, match="not one of meta4's"):
        make_index(models["lsh"])
    with pytest.raises(NotFoundError, match="no hashed field"):
        drop_index(engine, index_name)
    assert engine.index_exists(index_name)
    engine.delete_index(index_name)


def test_bad_names_leave_nothing_behind(engine, models):
    ref = ModelStore(engine).push("lsh-tests", models["lsh"])
    for field in ("", "a b", "meta4.x", "1x", "x..y"):
        with pytest.raises(InputError, match="expected letters"):
            create_index(engine, "never-made", field=field, ref=ref, model=models["lsh"])
    with pytest.raises(RefusedError, match="must be lowercase"):
        create_index(engine, "NotLower", field="v", ref=ref, model=models["lsh"])
    with pytest.raises(NotFoundError):
        engine.request("GET", "/_ingest/pipeline/meta4-NotLower")
    with pytest.raises(InputError, match="plan 'bitwise'"):
        create_index(
            engine, "never-made", field="v", ref=ref, model=models["cells"], plan="bitwise"
        )


def test_list_show_and_drop(engine, make_index, index_name, models, sample):
    documents = [*word_documents(sample, range(50))]
    del documents[7].source[FIELD]
    make_index(models["itq"], docs=documents, hashing="client", plan="margin")
    listed = {entry["index"]: entry for entry in list_indexes(engine)}
    assert listed[index_name]["plan"] == "margin"
    shown = show_index(engine, index_name)
    assert (shown["documents"], shown["without_vector"], shown["strays"]) == (50, 1, 0)
    assert shown["model"].startswith("itq-tests@")
    drop_index(engine, index_name)
    assert index_name not in {entry["index"] for entry in list_indexes(engine)}
    with pytest.raises(NotFoundError, match="does not exist"):
        show_index(engine, index_name)


def test_versions_in_the_store_are_immutable(engine, vectors, monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    store = ModelStore(engine)
    one, two = (HashModel.fit(LshSpec(seed=s), vectors[:100]) for s in (1, 2))
    first = store.push("versions", one)
    assert str(first) == "versions@1"
    assert store.push("versions", one) == first
    assert str(store.push("versions", two)) == "versions@2"
    for _ in range(2):  # from the cluster, then from the cache
        ref, model = store.pull("versions@1")
        assert ref == first
        assert model.onnx_bytes == one.onnx_bytes
    assert store.pull("versions")[0].version == 2
    assert store.manifest(first) == one.manifest
    with pytest.raises(NotFoundError, match="model list"):
        store.pull("versions@9")


def test_a_large_model_is_chunked_and_checked(engine, vectors, monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr("meta4.adapter.model_store._CHUNK", 50_000)
    model = HashModel.fit(LshSpec(n_bits=512), vectors[:100])
    store = ModelStore(engine)
    ref = store.push("chunked", model)
    (entry,) = [e for e in store.list() if e["name"] == "chunked"]
    assert entry["n_chunks"] == -(-len(model.onnx_bytes) // 50_000) > 3
    assert store.pull("chunked")[1].onnx_bytes == model.onnx_bytes
    from meta4.adapter.model_store import STORE_INDEX, _chunk_id

    engine.request("DELETE", f"/{STORE_INDEX}/_doc/{_chunk_id(ref, 1)}")
    for path in (tmp_path / "meta4" / "models").rglob("*"):
        if path.is_file():
            path.unlink()
    with pytest.raises(ArtifactError, match="a chunk is missing"):
        store.pull("chunked")


def test_the_store_is_hidden(engine, models):
    ModelStore(engine).push("lsh-tests", models["lsh"])
    assert "meta4-models" not in engine.mappings("*")


def test_a_reference_is_a_folder_or_a_name(engine, models, tmp_path):
    models["lsh"].save(tmp_path / "My Model")
    ref, _ = resolve_reference(ModelStore(engine), str(tmp_path / "My Model"))
    assert ref.name == "my-model"
    again, model = resolve_reference(ModelStore(engine), "my-model@1")
    assert again == ref
    assert model.manifest == models["lsh"].manifest


def test_a_cluster_that_is_down():
    with pytest.raises(UnreachableError, match=r"127\.0\.0\.1:9: no connection.*node start"):
        connect("http://user:secret@127.0.0.1:9")


def test_no_password_in_an_error():
    with pytest.raises(UnreachableError) as caught:
        connect("http://user:secret@127.0.0.1:9")
    assert "secret" not in str(caught.value)


def answering(engine, answers, monkeypatch):
    """Faults that a node of the right kind cannot be made to have are answered by a stand-in."""
    monkeypatch.setattr(engine, "request", lambda method, path, *_, **__: answers[path])
    return engine


def test_an_opensearch_that_cannot_hold_hashed_indexes(monkeypatch):
    def check(number, *plugins):
        answers = {
            "/": {"version": {"distribution": "opensearch", "number": number}},
            "/_cat/plugins": [{"component": plugin} for plugin in plugins],
        }
        engine = OpenSearchEngine.at("http://127.0.0.1:9")
        answering(engine, answers, monkeypatch).check_usable(scripts=True)

    with pytest.raises(RefusedError, match="lacks the k-NN plugin"):
        check("3.6.0")
    with pytest.raises(RefusedError, match=r"expected 2\.19 or later"):
        check("2.11.1", "opensearch-knn")
    check("3.6.0", "opensearch-knn")


def test_an_elasticsearch_that_cannot_hold_hashed_indexes(monkeypatch):
    node = {"version": "8.11.4", "modules": []}
    engine = ElasticsearchEngine.at("http://127.0.0.1:9")
    answering(engine, {"/_nodes/_local/plugins": {"nodes": {"a": node}}}, monkeypatch)
    with pytest.raises(RefusedError, match=r"8\.11\.4; expected 8\.15 or later"):
        engine.check_usable(scripts=False)
