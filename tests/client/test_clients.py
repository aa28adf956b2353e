"""`Meta4` and `AsyncMeta4`: the same tests for both, on both engines."""

import asyncio
import time

import numpy as np
import pytest
from support.clients import KINDS, NAMES, own_client
from support.searches import every_saving_counts
from support.words import FIELD, N_SHARED, word_documents

from meta4 import AsyncMeta4, Document, Meta4
from meta4.adapter.client import async_meta4
from meta4.adapter.client.core import Core
from meta4.adapter.engines.calls import Pause
from meta4.adapter.engines.connection import connect_async
from meta4.adapter.fields.shelf import Shelf
from meta4.adapter.fields.vectors import planning as vector_field
from meta4.adapter.load.loader import load_documents
from meta4.adapter.searches import SearchKeeper
from meta4.errors import (
    ClauseError,
    EmbeddingError,
    InputError,
    NotFoundError,
    RefusedError,
    UnreachableError,
)
from meta4.models.probing.ranking import Probes

pytestmark = pytest.mark.server


@pytest.fixture(params=NAMES)
def client(request, node):
    made = KINDS[request.param](node.url)
    yield made
    made.close()


def similar(k=10, within=(), recall=0.95, **operand):
    clause = {"meta4_similar": {FIELD: {**operand, "k": k, "recall": recall}}}
    return {"_source": False, "query": {"bool": {"must": [clause], "filter": list(within)}}}


def ids(answer):
    return [hit["_id"] for hit in answer["hits"]["hits"]]


def test_answers_are_those_of_numpy(client, words):
    kept = np.arange(N_SHARED) % 10 == 3
    for query in words.held_out[:10]:
        for within, keep in (((), None), ([{"term": {"tenth": 3}}], kept)):
            body = similar(25, within, recall=1.0, vector=query.tolist())
            hits = client.search(index=words.index, body=body)["hits"]["hits"]
            best = np.sort(words.scores(query, keep))[::-1][:25]
            assert np.allclose([hit["_score"] for hit in hits], best, atol=1e-5)
            assert "sort" not in hits[0]


def test_the_promise_holds(client, words):
    reached = []
    for query in words.held_out[:100]:
        body = similar(25, vector=query.tolist())
        hits = client.search(index=words.index, body=body)["hits"]["hits"]
        worst = np.sort(words.scores(query))[::-1][24]
        reached.append(np.mean([hit["_score"] >= worst - 1e-6 for hit in hits]))
    assert np.mean(reached) >= 0.95 - 2 * np.std(reached) / 10


def test_rewritten_and_explained_is_what_is_searched(client, words):
    body = similar(5, id="berlin")
    answer = client.search(index=words.index, body=body)
    rewritten = client.rewrite(index=words.index, body=body)
    assert ids(words.meta4.engine.search(words.index, rewritten)) == ids(answer)
    explained = client.explain(index=words.index, body=body)
    assert explained["body"] == rewritten
    assert explained["clauses"][0]["recall_promised"] == 0.95
    assert "berlin" not in ids(answer)


def test_a_short_page_is_asked_for_again_everywhere(client, words, monkeypatch):
    every_saving_counts(monkeypatch)
    real = vector_field.plan_by_outlook

    def stingy(*args):
        plan = real(*args)
        if plan.probes is None:
            return plan
        few = Probes(plan.probes.buckets[:1], 0)
        return type(plan)(**{**vars(plan), "probes": few})

    monkeypatch.setattr(vector_field, "plan_by_outlook", stingy)
    body = similar(900, vector=words.held_out[3].tolist())
    hits = client.search(index=words.index, body=body)["hits"]["hits"]
    best = np.sort(words.scores(words.held_out[3]))[::-1][:900]
    assert np.allclose([hit["_score"] for hit in hits], best, atol=1e-5)


def test_aggregations_see_the_k_nearest(client, words):
    body = similar(40, vector=words.held_out[0].tolist())
    body["aggs"] = {"colours": {"terms": {"field": "colour.keyword"}}}
    answer = client.search(index=words.index, body=body)
    counted = sum(b["doc_count"] for b in answer["aggregations"]["colours"]["buckets"])
    assert counted == len(answer["hits"]["hits"]) == 40


def test_a_filter_that_comes_again_is_counted_a_few_times(client, words, monkeypatch):
    """Then in all buckets at once, and not beside every search."""
    every_saving_counts(monkeypatch)
    within = [{"range": {"rank": {"lt": N_SHARED // 2}}}]

    def n_counted(queries):
        client.sent.clear()
        for query in queries:
            client.search(index=words.index, body=similar(25, within, vector=query.tolist()))
        return sum(path.startswith("/_msearch") for _, path in client.sent)

    assert n_counted(words.held_out[:20]) <= 4
    assert n_counted(words.held_out[20:60]) == 0


def test_a_cold_search_reads_one_mapping_and_a_warm_one_none(client, words):
    def mappings_read():
        return sum(path.endswith("/_mapping") for _, path in client.sent)

    body = similar(5, id="paris")
    client.search(index=words.index, body=body)
    assert mappings_read() == 1
    for _ in range(3):
        client.search(index=words.index, body=body)
        client.explain(index=words.index, body=body)
    assert mappings_read() == 1


def test_msearch_is_several_searches_in_fewer_requests(client, words):
    bodies = [
        similar(5, id="berlin"),
        similar(7, [{"term": {"tenth": 3}}], vector=words.held_out[1].tolist()),
        similar(6, [{"term": {"tenth": 4}}], id="london", recall=1.0),
        {"query": {"meta4_analogy": {FIELD: {x: {"id": w} for x, w in
         zip("abc", ("berlin", "germany", "paris"), strict=True)}}}},
        {"query": {"term": {"tenth": 5}}, "size": 3, "sort": ["rank"]},
    ]  # fmt: skip
    client.sent.clear()
    answers = client.msearch(index=words.index, bodies=bodies)
    mapping, multiple = "/_mapping", "/_msearch"
    paths = [path for _, path in client.sent if not path.startswith("/meta4-models")]
    assert sum(path.endswith(mapping) for path in paths) == 1
    # The directory; then all filters' directories and the plain search; documents; the answers.
    assert sum(path.endswith("/_mget") for path in paths) == 1
    assert sum(path.endswith(multiple) for path in paths) <= 3
    for body, answer in zip(bodies, answers, strict=True):
        alone = client.search(index=words.index, body=body)
        assert ids(answer) == ids(alone)
        assert {k for k in answer if k != "took"} == {k for k in alone if k != "took"}
    assert client.msearch(index=words.index, bodies=[]) == []


def test_msearch_raises_what_one_of_them_raises(client, words):
    good, missing = similar(5, id="berlin"), similar(5, id="no-such-word")
    with pytest.raises(NotFoundError, match="'no-such-word' is not in index"):
        client.msearch(index=words.index, bodies=[good, missing, good])
    refused = {"query": {"range": {"rank": {"gte": "no number"}}}}
    with pytest.raises(RefusedError, match="answered 400"):
        client.msearch(index=words.index, bodies=[good, refused])
    with pytest.raises(ClauseError, match="one field"):
        client.msearch(index=words.index, bodies=[good, {"query": {"meta4_similar": 3}}])


def test_many_at_once_get_the_same_answers(client, words):
    bodies = [similar(10, vector=query.tolist()) for query in words.held_out[:40]]
    calls = [("search", {"index": words.index, "body": body}) for body in bodies]
    alone = [ids(words.meta4.search(index=words.index, body=body)) for body in bodies]
    assert [ids(answer) for answer in client.together(calls)] == alone


def test_documents_are_loaded(client, engine, make_index, index_name, models, sample):
    make_index(models["cells"], hashing="client")
    bad = Document("bad", {FIELD: [1.0, 2.0]})
    documents = [*word_documents(sample, range(300)), bad]
    report = client.load(index=index_name, documents=iter(documents))
    assert (report.n_indexed, report.n_refused) == (300, 1)
    assert "expected 100 dimensions" in report.refusals[0].reason
    engine.refresh(index_name)
    assert len(ids(client.search(index=index_name, body=similar(5, id="the", recall=1.0)))) == 5


def test_a_load_that_is_cancelled_writes_no_more(engine, make_index, index_name, models, sample):
    make_index(models["cells"], hashing="client")
    read = []

    def documents():
        for document in word_documents(sample, range(20_000)):
            read.append(document.id)
            time.sleep(0.001)
            yield document

    async def cut_off():
        async with AsyncMeta4(engine.url) as meta4:
            load = asyncio.create_task(meta4.load(index=index_name, documents=documents()))
            while not read:
                await asyncio.sleep(0.01)
            await meta4.search(index=index_name, body={"query": {"match_all": {}}})
            load.cancel()
            with pytest.raises(asyncio.CancelledError):
                await load

    asyncio.run(cut_off())  # and waits for its threads
    assert len(read) < 5_000
    engine.refresh(index_name)
    assert engine.count(index_name) < 5_000


def test_an_alias_that_moves_is_followed(client, engine, make_index, models, sample, index_name):
    names = [f"{index_name}-{i}" for i in (1, 2)]
    for i, name in enumerate(names):
        spec = make_index(models["cells"], name=name, hashing="client")
        documents = list(word_documents(sample, range(1000 * i, 1000 * i + 200)))
        hasher = engine.run(Meta4(engine).core.hasher(name))
        load_documents(engine, name, documents, hasher)
        engine.refresh(name)
    assert spec.field == FIELD

    def move(action, name):
        entry = {action: {"index": name, "alias": index_name}}
        engine.request("POST", "/_aliases", {"actions": [entry]})

    move("add", names[0])
    body = similar(5, vector=sample.vectors[1100].tolist())
    assert ids(client.search(index=index_name, body=body))[0] != sample.words[1100]
    move("remove", names[0])
    move("add", names[1])
    assert ids(client.search(index=index_name, body=body))[0] == sample.words[1100]


def test_what_cannot_be_asked(client, words):
    with pytest.raises(NotFoundError, match="does not exist"):
        client.search(index="no-such-index", body=similar(id="berlin"))
    with pytest.raises(ClauseError, match="its hashed field is 'embedding'"):
        client.search(
            index=words.index, body={"query": {"meta4_similar": {"other": {"id": "berlin"}}}}
        )
    with pytest.raises(EmbeddingError, match="expected 100 dimensions, got 3"):
        client.search(index=words.index, body=similar(vector=[1.0, 2.0, 3.0]))
    with pytest.raises(ClauseError, match="no meta4 clause"):
        client.explain(index=words.index, body={"query": {"match_all": {}}})
    for wrong in ([words.index, "other"], None, 7):
        with pytest.raises(InputError, match="expected one name, got"):
            client.search(index=wrong, body={"query": {"match_all": {}}})
        with pytest.raises(InputError, match="expected one name, got"):
            client.load(index=wrong, documents=[])
    for wrong in (None, [], "{}"):
        with pytest.raises(InputError, match="expected a search body"):
            client.search(index=words.index, body=wrong)


def test_what_is_no_body_and_no_document_is_refused(client, words):
    good = similar(5, id="berlin")
    for wrong in (None, 5, "ab", good):
        with pytest.raises(InputError, match="bodies: expected several"):
            client.msearch(index=words.index, bodies=wrong)
        with pytest.raises(InputError, match="documents: expected several"):
            client.load(index=words.index, documents=wrong)
    with pytest.raises(InputError, match=r"expected meta4\.Document\(id, source\), got dict at 0"):
        client.load(index=words.index, documents=[{"embedding": [1.0]}])
    for name in ("a\ud800b", "a\nb"):
        with pytest.raises(InputError, match="that can be printed"):
            client.msearch(index=name, bodies=[{"size": 1}] * 2)
    assert len(client.msearch(index=words.index, bodies=iter([good, good]))) == 2


@pytest.mark.parametrize("kind", [Meta4, AsyncMeta4])
def test_what_is_no_address_is_refused(kind):
    async def ask(url):
        await AsyncMeta4(url).search(index="a", body={})

    for url in ("http://", "not a url", "http://a b", "http://127.0.0.1:99999", "http://[::1", ""):
        with pytest.raises(InputError, match="is no server's address"):
            asyncio.run(ask(url)) if kind is AsyncMeta4 else kind(url)
    with pytest.raises(InputError, match="expected seconds"):
        Core(None, "x", SearchKeeper(0.0))


def test_msearch_raises_the_first_error_in_order(client, words):
    bodies = [similar(5, id="no-such-word"), {"query": {"meta4_analogy": 3}}]
    with pytest.raises(NotFoundError, match="no-such-word"):
        client.msearch(index=words.index, bodies=bodies)
    with pytest.raises(ClauseError, match="one field"):
        client.msearch(index=words.index, bodies=bodies[::-1])


def test_one_asynchronous_client_in_several_loops(engine, words):
    body = similar(5, id="berlin")
    expected = ids(words.meta4.search(index=words.index, body=body))
    meta4 = AsyncMeta4(engine.url)

    async def ask_and_close():
        found = ids(await meta4.search(index=words.index, body=body))
        await meta4.close()
        await meta4.close()
        return found

    assert [asyncio.run(ask_and_close()) for _ in range(2)] == [expected, expected]

    async def make():
        return own_client(engine, asynchronous=True)

    own = asyncio.run(make())
    given = AsyncMeta4(own)

    async def ask():
        await given.search(index=words.index, body=body)
        await own.close()

    asyncio.run(ask())
    with pytest.raises(InputError, match="used in another event loop"):
        asyncio.run(ask())


def test_a_server_that_is_away_is_asked_again(engine, words, monkeypatch):
    tries = []

    async def away(url, access):
        tries.append(url)
        if len(tries) == 1:
            raise UnreachableError("away")
        return await connect_async(url, access)

    monkeypatch.setattr(async_meta4, "connect_async", away)

    async def ask():
        async with AsyncMeta4(engine.url) as meta4:
            with pytest.raises(UnreachableError):
                await meta4.search(index=words.index, body=similar(5, id="berlin"))
            return ids(await meta4.search(index=words.index, body=similar(5, id="berlin")))

    assert len(asyncio.run(ask())) == 5


def test_what_was_forgotten_while_it_was_read_is_not_kept():
    """Else a request that was told of a move would plan with what was before it."""
    shelf, key = Shelf(), ("index", "a", None)

    def read(value):
        yield Pause(0.0)
        return value

    slow = shelf.take(key, lambda: read("before"))
    next(slow)
    shelf.forget("a")
    with pytest.raises(StopIteration) as ended:
        slow.send(None)
    assert (ended.value.value, shelf.peek(key)) == ("before", None)


@pytest.mark.parametrize("asynchronous", [False, True])
def test_own_clients_are_taken_and_others_refused(engine, words, asynchronous):
    body = similar(5, id="berlin")
    expected = ids(words.meta4.search(index=words.index, body=body))

    async def ask():
        own = own_client(engine, asynchronous=True)
        async with AsyncMeta4(own) as meta4:
            found = ids(await meta4.search(index=words.index, body=body))
        assert ids(await AsyncMeta4(own).search(index=words.index, body=body)) == found
        await own.close()
        return found

    if asynchronous:
        assert asyncio.run(ask()) == expected
    else:
        own = own_client(engine, asynchronous=False)
        assert ids(Meta4(own).search(index=words.index, body=body)) == expected
        own.close()


def test_clients_of_another_kind_are_refused_at_once(engine):
    for wrong in (None, 3, [engine.url], object()):
        with pytest.raises(InputError, match=r"expected a URL, an opensearchpy\.OpenSearch"):
            Meta4(wrong)
        with pytest.raises(InputError, match=r"expected a URL, an opensearchpy\.AsyncOpenSearch"):
            AsyncMeta4(wrong)

    async def crossed():
        other = own_client(engine, asynchronous=True)
        with pytest.raises(InputError, match="asynchronous clients go to AsyncMeta4"):
            Meta4(other)
        await other.close()

    asyncio.run(crossed())
    own = own_client(engine, asynchronous=False)
    with pytest.raises(InputError, match="synchronous clients go to Meta4"):
        AsyncMeta4(own)
    own.close()
