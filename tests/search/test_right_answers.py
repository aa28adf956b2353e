"""What users of such software have met elsewhere, each as it was tried, with the right answer."""

import functools

import numpy as np
import orjson
import pytest
from support.searches import every_saving_counts
from support.servers import on_one_engine
from support.vectors import unit
from support.words import FIELD

from meta4 import Document, DocumentHasher, HashModel, Meta4
from meta4.adapter.client.finder import Finder
from meta4.adapter.engines.opensearch import OpenSearchEngine
from meta4.adapter.load.loader import load_documents
from meta4.adapter.manage.indexes import create_index
from meta4.adapter.measure.tune import tune_index
from meta4.adapter.model_store import ModelStore
from meta4.errors import ClauseError, ConflictError, EmbeddingError, NotFoundError, RefusedError
from meta4.mappings.spec import STRATEGIES
from meta4.models.specs import CellsSpec

pytestmark = pytest.mark.server
DIMS, N = 8, 3000


@pytest.fixture(scope="module")
def x():
    return np.random.default_rng(1).standard_normal((N, DIMS)).astype(np.float32)


@pytest.fixture(scope="module")
def m8(x):
    return HashModel.fit(CellsSpec(n_bits=32, n_buckets=32, seed=1, iterations=3), x[:1000])


@pytest.fixture(scope="module")
def whole(engine, x, m8):
    """The first n of x, in an index that is only read: made when first asked for."""
    # As `make_index` calls it: indexes of one model are searched together.
    ref = ModelStore(engine).push(f"{m8.manifest.kind}-tests", m8)

    @functools.cache
    def get(strategy="native", shards=1, n=N):
        name = f"right-{strategy}-{shards}-{n}"
        spec = create_index(
            engine, name, field=FIELD, ref=ref, model=m8, hashing="client",
            strategy=strategy, shards=shards,
        )  # fmt: skip
        made.append(name)
        assert not load_documents(engine, name, rows(x[:n]), DocumentHasher(m8, spec)).refusals
        engine.refresh(name)
        return name

    made = []
    yield get
    for name in made:
        engine.delete_index(name)


def rows(x, start=0):
    for row, vector in enumerate(x, start):
        lang = "de" if row % 19 == 0 else "en"
        text = "berlin" if row % 2 else "paris"
        source = {FIELD: vector.tolist(), "date": row, "lang": lang, "text": text}
        yield Document(f"{row}", source)


def similar(query, k=10, recall=1.0, **more):
    return {"meta4_similar": {FIELD: {"vector": query.tolist(), "k": k, "recall": recall, **more}}}


def nearest(x, query, k=10, keep=slice(None)):
    kept = np.arange(len(x))[keep]
    return [str(row) for row in kept[np.argsort(-(unit(x[kept]) @ query))[:k]]]


def ids(answer):
    return [hit["_id"] for hit in answer["hits"]["hits"]]


def placed(clause):
    """By name, bodies in which a clause stands and that all mean its k nearest."""
    factor = {"field_value_factor": {"field": "date", "missing": 1}}
    yield "sorted", {"query": clause, "sort": [{"date": "desc"}]}
    yield "constant", {"query": {"constant_score": {"filter": clause}}}
    yield "filter", {"query": {"bool": {"filter": [clause], "must": {"match_all": {}}}}}
    for mode in ("replace", "multiply"):
        query = {"function_score": {"query": clause, **factor, "boost_mode": mode}}
        yield mode, {"query": query}


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize("shards", [1, 3])
def test_case_01_the_k_nearest_in_every_place(engine, whole, x, strategy, shards):
    index, meta4, query = whole(strategy, shards), Meta4(engine), x[5] + x[6]
    right = set(nearest(x, query))
    for name, body in placed(similar(query)):
        answer = meta4.search(index=index, body=body)
        assert set(ids(answer)) == right, name
        assert answer["hits"]["total"] == {"value": 10, "relation": "eq"}, name


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize("shards", [1, 3])
def test_case_02_pages_end_at_k(engine, whole, x, strategy, shards):
    index, meta4 = whole(strategy, shards), Meta4(engine)
    query, found, after = x[7], [], {}
    for _ in range(4):
        body = {"query": similar(query), "size": 5, "sort": ["_score", {"_seq_no": "asc"}], **after}
        hits = meta4.search(index=index, body=body)["hits"]["hits"]
        if not hits:
            break
        found.append([hit["_id"] for hit in hits])
        after = {"search_after": hits[-1]["sort"]}
    assert [len(page) for page in found] == [5, 5]
    assert found[0] + found[1] == nearest(x, query)


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize("recall", [0.9, 1.0])
def test_case_03_through_an_alias_with_a_filter(
    engine, whole, index_name, x, monkeypatch, strategy, recall
):
    every_saving_counts(monkeypatch)
    index, alias = whole(strategy), f"{index_name}-de"
    tune_index(engine, index, n_queries=100)
    add = {"index": index, "alias": alias, "filter": {"term": {"lang": "de"}}}
    engine.request("POST", "/_aliases", {"actions": [{"add": add}]})
    meta4, hit = Meta4(engine), []
    for query in x[:60]:
        found = ids(meta4.search(index=alias, body={"query": similar(query, recall=recall)}))
        right = nearest(x, query, keep=slice(None, None, 19))
        assert len(found) == 10
        assert all(int(one) % 19 == 0 for one in found)
        hit.append(len(set(found) & set(right)) / 10)
    assert np.mean(hit) >= recall - 2 * np.std(hit) / np.sqrt(len(hit))


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_case_04_what_is_read_off_the_query_is_there(engine, whole, x, strategy):
    index = whole(strategy, n=300)
    match = {"match": {"text": {"query": "berlin", "_name": "city"}}}
    query = {"bool": {"must": [similar(x[3])], "filter": [match]}}
    body = {"query": query, "highlight": {"fields": {"text": {}}}}
    meta4 = Meta4(engine)
    for hit in meta4.search(index=index, body=body)["hits"]["hits"]:
        assert hit["highlight"] == {"text": ["<em>berlin</em>"]}
        assert hit["matched_queries"] == ["city"]
    for hit in meta4.search(index=index, body={"query": query})["hits"]["hits"]:
        assert hit["matched_queries"] == ["city"]


def test_case_05_as_many_as_the_engines_give(engine, make_index, index_name, m8):
    many = np.random.default_rng(2).standard_normal((10_020, DIMS)).astype(np.float32)
    few = many[:9_990]
    spec = make_index(m8, docs=rows(few), hashing="client")

    def ask(there, k):
        body = {"query": similar(many[0], k), "_source": False}
        answer = Meta4(engine).search(index=index_name, body=body)
        assert len(answer["hits"]["hits"]) == k
        assert set(ids(answer)) == set(nearest(there, many[0], k))

    ask(few, 9_984)  # no more than k and a few
    more = rows(many[9_990:], 9_990)
    assert not load_documents(engine, index_name, more, DocumentHasher(m8, spec)).refusals
    engine.refresh(index_name)
    for k in (9_985, 9_999, 10_000):
        ask(many, k)


def test_case_05_a_window_is_no_wider_than_engines_take(engine, make_index, index_name, x, m8):
    many = np.random.default_rng(2).standard_normal((11_000, DIMS)).astype(np.float32)
    make_index(m8, docs=rows(many), hashing="client", strategy="hamming")
    body = {"query": similar(many[0], 501, 0.9), "_source": False}
    assert len(Meta4(engine).search(index=index_name, body=body)["hits"]["hits"]) == 501


def test_case_06_a_hybrid_query_gets_no_order_of_ours(engine, few, x):
    queries = [{"match": {"text": "berlin"}}, similar(x[0])]
    body = {"query": {"hybrid": {"queries": queries}}}
    rewritten = Meta4(engine).rewrite(index=few, body=body)
    assert "sort" not in rewritten
    assert rewritten["query"]["hybrid"]["queries"][0] == queries[0]
    second = engine.search(few, {"query": rewritten["query"]["hybrid"]["queries"][1]})
    assert set(ids(second)) == set(nearest(x[:300], x[0]))


@pytest.fixture
def two(engine, make_index, index_name, x, m8):
    """Two indexes behind one alias, tuned each by itself."""
    names = [f"{index_name}-1", f"{index_name}-2"]
    for name, start in zip(names, (0, 1500), strict=True):
        make_index(m8, name=name, docs=rows(x[start : start + 1500], start), hashing="client")
        tune_index(engine, name, n_queries=60 + start // 100)
    actions = [{"add": {"index": name, "alias": index_name}} for name in names]
    engine.request("POST", "/_aliases", {"actions": actions})
    return index_name, names


def test_case_07_several_indexes_are_one(engine, two, x, monkeypatch):
    every_saving_counts(monkeypatch)
    alias, names = two
    meta4 = Meta4(engine)
    for name in (alias, f"{alias}-*", ",".join(names), f"{alias},{names[0]}"):
        for identity in ("7", "2900"):  # one of each
            clause = {"meta4_similar": {FIELD: {"id": identity, "recall": 1.0}}}
            found = ids(meta4.search(index=name, body={"query": clause}))
            assert found == nearest(x, x[int(identity)], 11)[1:]
        hit = [
            len(
                set(ids(meta4.search(index=name, body={"query": similar(q, recall=0.9)})))
                & set(nearest(x, q))
            )
            / 10
            for q in x[100:140]
        ]
        assert np.mean(hit) >= 0.9 - 2 * np.std(hit) / np.sqrt(len(hit))
    for name in (f"{names[0]},{names[0]}", f"{names[0]}*"):  # one, said as several are
        clause = {"meta4_similar": {FIELD: {"id": "7", "recall": 1.0}}}
        found = ids(meta4.search(index=name, body={"query": clause}))
        assert found == nearest(x[:1500], x[7], 11)[1:]
    with pytest.raises(ConflictError, match="with different specs"):
        tune_index(engine, alias)  # that would write one's spec into the other
    with pytest.raises(NotFoundError, match="document 'nowhere' is not in index"):
        meta4.search(index=alias, body={"query": {"meta4_similar": {FIELD: {"id": "nowhere"}}}})
    with pytest.raises(NotFoundError, match=r"no such index \[missing\]"):
        meta4.search(index=f"{names[0]},missing", body={"query": similar(x[0])})


def test_an_id_of_two_documents_is_no_question(engine, two, x):
    alias, names = two
    engine.request("PUT", f"/{names[1]}/_doc/7", {FIELD: x[8].tolist()}, {"refresh": "true"})
    clause = {"meta4_similar": {FIELD: {"id": "7"}}}
    with pytest.raises(ClauseError, match=r"2 documents of .* have the id '7'"):
        Meta4(engine).search(index=alias, body={"query": clause})
    assert len(ids(Meta4(engine).search(index=names[0], body={"query": clause}))) == 10


def test_closed_indexes_are_said_to_be(engine, two, x):
    alias, names = two
    engine.request("POST", f"/{names[1]}/_close")
    with pytest.raises(Exception, match="closed"):
        Meta4(engine).search(index=alias, body={"query": similar(x[0])})
    answer = Meta4(engine).search(index=f"{alias}-*", body={"query": similar(x[0])})
    assert set(ids(answer)) == set(nearest(x[:1500], x[0]))  # patterns are of open ones


def test_case_08_wherever_its_routing_led_it(engine, make_index, index_name, x, m8):
    docs = list(rows(x[:300]))
    for document in docs[::3]:
        document.routing = f"r{document.id}"
    make_index(m8, docs=docs, hashing="client", shards=3)
    for identity in ("0", "1", "3", "6", "9", "12"):
        clause = {"meta4_similar": {FIELD: {"id": identity, "recall": 1.0}}}
        found = ids(Meta4(engine).search(index=index_name, body={"query": clause}))
        assert found == nearest(x[:300], x[int(identity)], 11)[1:]


def test_many_equals_are_ordered_whatever_the_segments(engine, make_index, index_name, m8, x):
    """More of them than any margin: the answer is the first that were written."""
    same = np.repeat(x[:1], 700, axis=0)
    make_index(m8, docs=rows(same), hashing="client")
    engine.request(
        "POST", f"/{index_name}/_delete_by_query", {"query": {"range": {"date": {"lt": 20}}}}
    )
    engine.refresh(index_name)
    meta4 = Meta4(engine)
    for body in (
        {"query": similar(x[0])},
        {"query": {"constant_score": {"filter": similar(x[0])}}},
    ):
        assert ids(meta4.search(index=index_name, body=body)) == [str(i) for i in range(20, 30)]


@pytest.fixture
def few(whole):
    return whole(n=300)


def in_one_and_two(clause, filters=()):
    """Bodies that one request answers, and two."""
    yield {"query": {"bool": {"must": [clause], "filter": list(filters)}}}
    yield {"query": {"bool": {"must": [{"match_all": {}}], "filter": [clause, *filters]}}}


def test_filters_speak_of_fields_that_the_body_defines(engine, few, x):
    key = "derived" if isinstance(engine, OpenSearchEngine) else "runtime_mappings"
    script = {"source": "emit(doc['date'].value % 2)"}
    defined = {key: {"parity": {"type": "long", "script": script}}}
    for body in in_one_and_two(similar(x[5]), [{"term": {"parity": 0}}]):
        body |= defined
        found = ids(Meta4(engine).search(index=few, body=body))
        assert set(found) == set(nearest(x[:300], x[5], keep=slice(None, 300, 2)))
        (explained,) = Meta4(engine).explain(index=few, body=body)["clauses"]
        assert explained["docs_looked_into"] == 150


def test_excluded_by_their_ids_are_the_nearest(engine, make_index, index_name):
    """Those that were shown before, say."""
    many = np.random.default_rng(3).standard_normal((12_000, DIMS)).astype(np.float32)
    model = HashModel.fit(CellsSpec(n_bits=32, n_buckets=256, seed=1, iterations=3), many[:4000])
    make_index(model, docs=rows(many), hashing="client")
    tune_index(engine, index_name, n_queries=100)
    meta4 = Meta4(engine)
    for count in (100, 1000):
        hit = []
        for query in many[:40]:
            right = nearest(many, query, count + 10)
            query = {"bool": {"must": [similar(query, recall=0.9)]}}
            query["bool"]["must_not"] = [{"ids": {"values": right[:count]}}]
            found = ids(meta4.search(index=index_name, body={"query": query, "_source": False}))
            hit.append(len(set(found) & set(right[count:])) / 10)
        assert np.mean(hit) >= 0.9 - 2 * np.std(hit) / np.sqrt(len(hit)), count


def test_an_index_where_no_document_lies_by_its_id(engine, make_index, index_name, x, m8):
    spec = make_index(m8, name=f"{index_name}-like", hashing="client")
    body = engine.dialect.index_body(spec, shards=3, replicas=0, pipeline=None)
    body["mappings"]["_routing"] = {"required": True}
    engine.create_index(index_name, body)
    docs = list(rows(x[:300]))
    for document in docs:
        document.routing = f"r{document.id}"
    meta4 = Meta4(engine)
    assert not meta4.load(index=index_name, documents=docs).refusals
    engine.refresh(index_name)
    clause = {"meta4_similar": {FIELD: {"id": "7", "recall": 1.0}}}
    for body in in_one_and_two(clause):
        found = ids(meta4.search(index=index_name, body=body))
        assert set(found) == set(nearest(x[:300], x[7], 11)[1:])
    clause["meta4_similar"][FIELD]["id"] = "nowhere"
    with pytest.raises(NotFoundError, match="document 'nowhere' is not in index"):
        meta4.search(index=index_name, body={"query": clause})
    engine.delete_index(index_name)


def test_an_alias_that_filters_otherwise_by_now(engine, few, x):
    alias, meta4 = f"{few}-now", Meta4(engine)
    for lang, keep in (("de", slice(None, 300, 19)), ("en", [i for i in range(300) if i % 19])):
        add = {"index": few, "alias": alias, "filter": {"term": {"lang": lang}}}
        engine.request("POST", "/_aliases", {"actions": [{"add": add}]})
        for body in in_one_and_two(similar(x[0])):
            found = ids(meta4.search(index=alias, body=body))
            assert set(found) == set(nearest(x[:300], x[0], keep=keep))


@on_one_engine
def test_a_document_that_is_deleted_between_the_two_requests(
    engine, make_index, index_name, x, m8, monkeypatch
):
    """Ties at the end of a page take a second request, by ids."""
    make_index(m8, docs=rows(np.repeat(x[:3], 4, axis=0)), hashing="client")
    gone, real = [], Finder._nearest

    def nearest_and_gone(finder, known, one):
        hits, last = yield from real(finder, known, one)
        if not gone:
            gone.append(hits[0]["_id"])
            engine.request("DELETE", f"/{index_name}/_doc/{gone[0]}")
            engine.refresh(index_name)
        return hits, last

    monkeypatch.setattr(Finder, "_nearest", nearest_and_gone)
    found = ids(Meta4(engine).search(index=index_name, body={"query": similar(x[0], 2)}))
    assert len(found) == 2
    assert len(gone) == 1
    assert gone[0] not in found


@on_one_engine
def test_a_data_stream_is_a_name_like_others(engine, few, make_index, x, m8):
    """OpenSearch knows no aliases of one."""
    stream = f"{few}-stream"
    spec = make_index(m8, name=f"{few}-like", hashing="client")
    body = engine.dialect.index_body(spec, shards=1, replicas=0, pipeline=None)
    body["mappings"]["properties"]["@timestamp"] = {"type": "date"}
    template = {"index_patterns": [stream], "data_stream": {}, "template": body}
    engine.request("PUT", f"/_index_template/{stream}", template)
    add = {"index": few, "alias": f"{few}-de", "filter": {"term": {"lang": "de"}}}
    engine.request("POST", "/_aliases", {"actions": [{"add": add}]})
    hasher, now = DocumentHasher(m8, spec), "2026-01-01T00:00:00Z"
    try:
        for start in (300, 450):
            hashed = hasher.hash(list(rows(x[start : start + 150], start))).documents
            lines = [
                orjson.dumps(line)
                for one in hashed
                for line in ({"create": {"_id": one.id}}, {**one.source, "@timestamp": now})
            ]
            engine.request("POST", f"/{stream}/_bulk", b"\n".join([*lines, b""]))
            engine.request("POST", f"/{stream}/_rollover")
        engine.refresh(stream)
        both = [*range(0, 300, 19), *range(300, 600)]
        for name, keep in ((stream, slice(300, 600)), (f"{stream},{few}-de", both)):
            for body in in_one_and_two(similar(x[0], 20)):
                found = ids(Meta4(engine).search(index=name, body=body))
                assert set(found) == set(nearest(x[:600], x[0], 20, keep))
    finally:
        engine.request("DELETE", f"/_data_stream/{stream}")
        engine.request("DELETE", f"/_index_template/{stream}")


@pytest.mark.parametrize(
    "wrong", [{"size": -1}, {"size": True}, {"from": -1}, {"from": "x"}, {1: 2}, {None: 3, "x": 4}]
)
def test_what_no_body_says(engine, few, x, wrong):
    with pytest.raises((ClauseError, RefusedError)):
        Meta4(engine).search(index=few, body={"query": similar(x[0]), **wrong})


class TestCase24:
    """What the engines' own queries take is taken, what a document may not have is refused."""

    def test_numbers_for_ids_and_boosts(self, engine, few, x):
        meta4 = Meta4(engine)
        clause = {FIELD: {"id": 42, "recall": 1.0}}
        plain = meta4.search(index=few, body={"query": {"meta4_similar": clause}})
        assert ids(plain) == nearest(x[:300], x[42], 11)[1:]
        clause[FIELD] |= {"boost": 2, "_name": "near"}
        boosted = meta4.search(index=few, body={"query": {"meta4_similar": clause}})
        for one, other in zip(boosted["hits"]["hits"], plain["hits"]["hits"], strict=True):
            assert one["_id"] == other["_id"]
            assert one["_score"] == pytest.approx(2 * other["_score"])
            assert one["matched_queries"] == ["near"]

    def test_a_row_of_an_array_is_a_vector(self, engine, few, x):
        for vector in (x[3], list(x[3]), x[3].tolist(), x[3].astype(np.float64)):
            body = {"query": {"meta4_similar": {FIELD: {"vector": vector}}}}
            assert ids(Meta4(engine).search(index=few, body=body))[0] == "3"

    @pytest.mark.parametrize(
        ("wrong", "error", "words"),
        [
            ({"k": "3"}, ClauseError, "k: .*integer"),
            ({"k": True}, ClauseError, "k: .*integer"),
            ({"recall": "0.9"}, ClauseError, "recall: .*number"),
            ({"boost": -1}, ClauseError, "boost"),
            ({"boost": "2"}, ClauseError, "boost"),
            ({"_name": 3}, ClauseError, "_name"),
            ({"vector": ["0.1", True, 0, 0, 0, 0, 0, 0]}, EmbeddingError, "'0.1' at position 0"),
            ({"vector": [True] * 8}, EmbeddingError, "got True at position 0"),
            ({"vector": {"0": 1.0}}, EmbeddingError, "got dict"),
            ({"vector": 5}, EmbeddingError, "got int"),
        ],
    )
    def test_what_a_document_may_not_have(self, engine, few, x, wrong, error, words):
        clause = {"vector": x[0].tolist(), **wrong}
        body = {"query": {"meta4_similar": {FIELD: clause}}}
        with pytest.raises(error, match=words):
            Meta4(engine).search(index=few, body=body)
        with pytest.raises(ClauseError, match="id"):
            Meta4(engine).search(
                index=few, body={"query": {"meta4_similar": {FIELD: {"id": True}}}}
            )
        with pytest.raises(ClauseError, match="cannot stand in 'post_filter'"):
            Meta4(engine).search(index=few, body={"post_filter": similar(x[0])})


def test_an_alias_that_moves_between_the_two_requests(engine, two, x, monkeypatch):
    """The documents that the first found lie where the second does not look."""
    alias, names = two
    now = f"{alias}-now"
    engine.request("POST", "/_aliases", {"actions": [{"add": {"index": names[0], "alias": now}}]})
    real, moved = engine.request, []

    def request(method, path, *args, **options):
        answer = real(method, path, *args, **options)
        if path == f"/{now}/_search" and answer["hits"]["hits"] and not moved:
            moved.append(path)
            actions = [
                {"remove": {"index": names[0], "alias": now}},
                {"add": {"index": names[1], "alias": now}},
            ]
            real("POST", "/_aliases", {"actions": actions})
        return answer

    monkeypatch.setattr(engine, "request", request)
    body = {"query": {"constant_score": {"filter": similar(x[0])}}}
    found = ids(Meta4(engine).search(index=now, body=body))
    assert moved
    assert set(found) == {str(1500 + int(i)) for i in nearest(x[1500:], x[0])}
