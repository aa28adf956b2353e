"""Bodies compared whole with what lies in golden/, and each run on the live node."""

import json
from dataclasses import replace
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from support.words import FIELD

from meta4.adapter.engines.calls import plain
from meta4.adapter.fields.vectors.request import PlannedVectors
from meta4.adapter.search.hybrid import asked_of_field, planned_as
from meta4.adapter.search.plan import RequestPlan
from meta4.adapter.search.rewriter import in_two, one_request, with_documents
from meta4.adapter.search.sites import find_sites
from meta4.mappings.elasticsearch import ElasticsearchDialect
from meta4.mappings.opensearch import OpenSearchDialect
from meta4.mappings.spec import IndexSpec, ModelRef
from meta4.models.probing.ranking import Probes

GOLDEN = Path(__file__).parent / "golden"
DIALECTS = {"opensearch": OpenSearchDialect(), "elasticsearch": ElasticsearchDialect()}
DIMS = 4
SPEC = IndexSpec(
    field=FIELD,
    dims=DIMS,
    n_bits=8,
    n_buckets=20,
    model=ModelRef(name="m", version=1, sha256="0" * 64),
    has_home=True,
)
RED = {"term": {"colour": "red"}}
OLD = {"range": {"rank": {"gte": 9}}}
VECTOR = [1.0, 0.0, 0.5, 0.0]
SIMILAR = {"meta4_similar": {FIELD: {"vector": VECTOR, "k": 3}}}
HYBRID = {"meta4_hybrid": {"query": RED, "similar": SIMILAR["meta4_similar"], "k": 3}}
ANALOGY = {x: {"vector": v} for x, v in zip("abc", np.eye(3, DIMS).tolist(), strict=True)}
FOUND = [
    {"_index": "golden-bodies", "_id": "one", "_score": 0.75},
    {"_index": "golden-bodies", "_id": "three", "_routing": "by", "_score": 0.25},
]
SOME = RequestPlan(Probes(np.array([3, 18]), 9), 3.0, 1.0, 1000, 0.95, "")
HOME = replace(SOME, keyword="home")
ALL = RequestPlan(None, 3.0, 1.0, 1000, 1.0, "")

CASES = {
    "similar-native": ({"query": SIMILAR}, "native", SOME, 0),
    "similar-home": ({"query": SIMILAR}, "native", HOME, 0),
    "similar-home-strays": ({"query": SIMILAR}, "native", HOME, 2),
    "similar-exact": ({"query": SIMILAR}, "native", ALL, 0),
    "similar-script": ({"query": SIMILAR, "from": 1, "size": 9}, "script", SOME, 0),
    "similar-hamming": ({"query": SIMILAR, "_source": False}, "hamming", SOME, 0),
    "similar-hamming-inside": (
        {"query": {"bool": {"should": [SIMILAR, RED]}}},
        "hamming",
        SOME,
        0,
    ),
    "similar-filtered": (
        {"query": {"bool": {"must": [SIMILAR], "filter": RED, "must_not": [OLD]}}},
        "native",
        SOME,
        0,
    ),
    "similar-beside-match": (
        {"query": {"bool": {"must": [SIMILAR, {"match": {"colour": "red"}}]}}},
        "native",
        SOME,
        0,
    ),
    "similar-strays": ({"query": SIMILAR, "sort": ["rank"]}, "native", SOME, 2),
    "similar-aggregated": (
        {"query": SIMILAR, "size": 0, "aggs": {"c": {"terms": {"field": "colour"}}}},
        "native",
        SOME,
        0,
    ),
    "analogy-3cosadd": ({"query": {"meta4_analogy": {FIELD: ANALOGY}}}, "native", SOME, 0),
    "analogy-3cosmul": (
        {"query": {"meta4_analogy": {FIELD: {**ANALOGY, "method": "3cosmul"}}}},
        "native",
        SOME,
        0,
    ),
    "hybrid": ({"query": {"bool": {"must": [HYBRID], "filter": RED}}}, "native", SOME, 0),
}


class OneCode:
    """A model whose every code is 0b10100000; only `hamming` asks."""

    terms = tuple(f"{i:02x}" for i in range(20))

    def encode(self, embeddings):
        return np.full((len(embeddings), 1), 0b10100000, dtype=np.uint8)


def spec_of(dialect):
    """As an index that is made now has it."""
    kept = {"codes": dialect.codes, "is_unit": not dialect.normalises}
    return SPEC.model_copy(update=kept)


def rewritten(name, dialect):
    body, strategy, plan, n_strays = CASES[name]
    spec = spec_of(dialect).model_copy(update={"strategy": strategy, "window": 5})
    planned = []
    for found in find_sites(body):
        site = replace(found, exclusions=(*found.exclusions, {"ids": {"values": ["self"]}}))
        operands = getattr(site.clause, "operands", (site.clause,))
        vectors = np.array([operand.vector for operand in operands], dtype=np.float32)
        own = asked_of_field(site)
        near = PlannedVectors(own, vectors, plan, n_strays, spec, OneCode(), dialect)
        planned.append(planned_as(site, near))
    before = json.dumps(body)
    if in_two(body, planned) is None:
        result = one_request(body, planned[0].legs[0])
    else:
        result = with_documents(body, planned, [FOUND] * len(planned))
    assert json.dumps(body) == before, "the caller's body was changed"
    return plain(result)


def golden(name, engine):
    return GOLDEN / engine / f"{name}.json"


@pytest.mark.parametrize("engine_name", DIALECTS)
@pytest.mark.parametrize("name", CASES)
def test_body_is_the_golden_one(name, engine_name):
    body = rewritten(name, DIALECTS[engine_name])
    assert body == json.loads(golden(name, engine_name).read_text())


@pytest.mark.server
@pytest.mark.parametrize("name", CASES)
def test_golden_body_runs(engine, golden_index, name):
    (engine_name,) = [n for n, d in DIALECTS.items() if type(d) is type(engine.dialect)]
    answer = engine.search(golden_index, json.loads(golden(name, engine_name).read_text()))
    assert answer["_shards"]["failed"] == 0
    if CASES[name][0].get("size") != 0:
        assert {hit["_id"] for hit in answer["hits"]["hits"]} <= {"one", "two", "three"}
        assert answer["hits"]["hits"]


@pytest.fixture(scope="module")
def golden_index(engine):
    """Four documents by hand; the last is excluded by its id `self`."""
    name = "golden-bodies"
    spec = spec_of(engine.dialect)
    (code,) = spec.code_storage.parts(np.array([[0b10000000]], dtype=np.uint8), 8)
    body = engine.dialect.index_body(spec, shards=1, replicas=0, pipeline=None)
    body["mappings"]["properties"]["colour"] = {"type": "keyword"}
    body["mappings"]["properties"]["rank"] = {"type": "integer"}
    engine.create_index(name, body)
    documents = {"one": [1, 0, 0, 0], "two": [1, 1, 0, 0], "three": [0, 1, 1, 0], "self": VECTOR}
    for rank, (identity, given) in enumerate(documents.items()):
        vector = (np.array(given) / np.linalg.norm(given)).tolist()
        hashes = {"bucket": ["03", "12"], "home": "03", "model": "m@1", "norm": 1.0, **code}
        colour = ["red", "blue"][rank % 2]
        source = {FIELD: vector, "colour": colour, "rank": rank, "meta4": {FIELD: hashes}}
        engine.request("PUT", f"/{name}/_doc/{identity}", body=source)
    engine.refresh(name)
    yield name
    engine.delete_index(name)


if __name__ == "__main__":  # `python -m search.test_rewriter` writes the bodies anew
    for case, (kind, dialect) in product(CASES, DIALECTS.items()):
        golden(case, kind).write_text(json.dumps(rewritten(case, dialect), indent=2) + "\n")
