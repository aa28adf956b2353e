import numpy as np
import pytest
from support.words import FIELD

from meta4.mappings.code_storage import STORAGES
from meta4.models.codes import hamming_distance, pack_bits

LENGTHS = (3, 8, 63, 64, 65, 72, 1024)


def some_codes(n_bits, n=50):
    return pack_bits(np.random.default_rng(n_bits).random((n, n_bits)) < 0.5)


@pytest.mark.parametrize("n_bits", LENGTHS)
@pytest.mark.parametrize("storage", STORAGES.values(), ids=STORAGES)
def test_a_code_is_read_as_it_was_written(storage, n_bits):
    codes = some_codes(n_bits)
    for code, parts in zip(codes, storage.parts(codes, n_bits), strict=True):
        assert set(parts) == set(storage.mapping(n_bits))
        assert (storage.code(parts, n_bits) == code).all()
        for name in parts:
            assert storage.code({k: v for k, v in parts.items() if k != name}, n_bits) is None


def test_bits_are_read_as_other_clients_may_write_them():
    assert STORAGES["bits"].code({"bits_16": [-128, 1]}, 16).tolist() == [128, 1]


@pytest.mark.server
@pytest.mark.parametrize("n_bits", LENGTHS)
def test_an_engine_counts_the_bits_that_differ(engine, index_name, n_bits):
    storage = STORAGES[engine.dialect.codes]
    codes = some_codes(n_bits)
    mapping = {"properties": storage.mapping(n_bits)}
    body = {"mappings": {"properties": {"meta4": {"properties": {FIELD: mapping}}}}}
    engine.create_index(index_name, body)
    for row, parts in enumerate(storage.parts(codes, n_bits)):
        source = {"meta4": {FIELD: parts}}
        engine.request("PUT", f"/{index_name}/_doc/{row}", body=source)
    engine.refresh(index_name)
    root = f"meta4.{FIELD}"
    source, params = storage.differing(root, codes[0], n_bits)
    script = {"source": f"1.0 * {source}", "params": params}
    query = {"script_score": {"query": {"match_all": {}}, "script": script}}
    hits = engine.search(index_name, {"query": query, "size": len(codes)})["hits"]["hits"]
    found = {int(hit["_id"]): hit["_score"] for hit in hits}
    expected = hamming_distance(codes[:1], codes)[0]
    assert [found[row] for row in range(len(codes))] == expected.tolist()
    params = {"code_field": storage.first_field(root, n_bits)}
    first = {"source": f"{storage.first_long} return code < 0L ? 1.0 : 0.0;", "params": params}
    query = {"script_score": {"query": {"match_all": {}}, "script": first, "min_score": 0.5}}
    negative = {int(hit["_id"]) for hit in engine.scan(index_name, {"query": query})}
    assert negative == set(np.flatnonzero(codes[:, 0] >= 128).tolist())
