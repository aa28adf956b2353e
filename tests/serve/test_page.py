"""The page without a browser: what is answered, and that nothing a document says is markup."""

import html
import json
import re
import subprocess
import sys
from html.parser import HTMLParser
from urllib.parse import quote, unquote_plus, urlencode

import numpy as np
import pytest
from support.gateways import ask
from support.texts import TEXTS, create_text_index, stdlib_texts, text_documents
from support.words import FIELD, word_documents

from meta4 import Document, Meta4
from meta4.adapter.engines.calls import SearchCall
from meta4.adapter.fields.field import Options
from meta4.adapter.fields.kinds import new_field
from meta4.adapter.load.loader import load_documents
from meta4.adapter.model_store import ModelStore
from meta4.adapter.serve.page.forms import AnalogyForm, SimilarForm
from meta4.adapter.serve.page.map import Plane, _plane
from meta4.adapter.serve.page.results import Shown, _marked, results
from meta4.adapter.serve.page.snippets import readable
from meta4.errors import InputError
from meta4.ingest.text_hasher import TextHasher
from meta4.mappings.dialect import merged
from meta4.models.kinds.minhash import MinHashSpec

pytestmark = pytest.mark.server
PAGES = ("search", "analogies", "index", "map")
HOSTILE = (
    "<script>alert(1)</script>", "\"'><img src=x onerror=alert(1)>", "{{ 7 * 7 }}", "</script><b>",
    "‮gnihtemos", "a/b?c=d&e#f", "%3Cb%3E", "l" * 512, "日本 語", " berlin ", "[ 1 ]",
    "back\\slash' \"END\"",
)  # fmt: skip


CLAUSE = {"meta4_similar": {FIELD: {"id": "paris"}}}


def page(url, path="", method="GET", headers=None, **params):
    query = f"?{urlencode(params)}" if params else ""
    status, said, body = ask(url, method, f"/_meta4/{path}{query}", headers=headers)
    return status, said, body.decode()


def plots_in(text):
    found = re.findall(r'<script type="application/json">(.*?)</script>', text, re.DOTALL)
    return [json.loads(one) for one in found]


@pytest.fixture
def hostile(make_index, models, vectors, index_name, engine):
    documents = [
        Document(name, {FIELD: vectors[i].tolist(), "said": name, "long": "x" * 10_000})
        for i, name in enumerate(HOSTILE)
    ]
    make_index(models["cells"], docs=documents, hashing="client")
    return index_name


def test_all_indexes_are_on_one_page(gateway, words):
    status, headers, text = page(gateway)
    assert status == 200
    assert headers["content-type"].startswith("text/html")
    assert "default-src 'none'" in headers["content-security-policy"]
    assert "unsafe" not in headers["content-security-policy"]
    assert f'href="/_meta4/search/{words.index}' in text
    assert page(gateway.rstrip("/"), "")[2] == ask(gateway, "GET", "/_meta4")[2].decode()


@pytest.mark.parametrize("what", PAGES)
def test_each_page_of_an_index(gateway, words, what):
    status, headers, text = page(gateway, f"{what}/{words.index}")
    assert status == 200, text
    assert headers["cache-control"] == "no-store"
    assert words.index in text


@pytest.mark.parametrize("what", PAGES)
def test_an_index_that_is_not_there(gateway, what):
    status, _, text = page(gateway, f"{what}/no-such-index")
    assert status == 404
    assert "no-such-index" in text and "meta4 index list" in text


@pytest.mark.parametrize(
    "path", ["nothing", "search", "search/a/b", "static/no.js", "static/../own.py"]
)
def test_a_page_that_is_not_there(gateway, path):
    assert page(gateway, path)[0] == 404


def test_a_search_is_what_meta4_finds_beside_what_exact_search_says(gateway, words):
    body = {"query": {"meta4_similar": {FIELD: {"id": "berlin", "k": 10, "recall": 0.9}}}}
    expected = [
        hit["_id"] for hit in words.meta4.search(index=words.index, body=body)["hits"]["hits"]
    ]
    _, _, text = page(gateway, f"search/{words.index}", id="berlin", recall=0.9)
    tables = text.split("<caption>")[1:]
    assert len(tables) == 2
    names = [re.findall(r"<a href=[^>]*><bdi>(.*?)</bdi>", table) for table in tables]
    assert names[0] == [html.escape(name) for name in expected]
    missed = tables[1].count('<tr class="missed">')
    assert f"<dd>{missed} of 10</dd>" in text
    assert len(set(names[1]) - set(names[0])) == missed
    assert "documents" in text and " ms" in text
    _, _, text = page(gateway, f"search/{words.index}", id="berlin", without_exact="true")
    assert "What exact search says" not in text


def test_a_missed_one_is_marked_and_one_as_near_is_not():
    def hit(name, score):
        return Shown(name, score, ())

    found = (hit("a", 0.9), hit("b", 0.8))
    exact = (hit("a", 0.9), hit("c", 0.85))
    assert [one.is_missed for one in _marked(exact, found)] == [False, True]
    assert not any(one.is_missed for one in _marked((hit("a", 0.9), hit("d", 0.8)), found))
    assert [one.is_missed for one in _marked(exact, found[:1])] == [False, True]
    assert all(one.is_missed for one in _marked(exact, ()))


@pytest.mark.parametrize(
    ("params", "words_of_it"),
    [
        ({"id": "no such word"}, "no such word"),
        ({"vector": "[1, 2]"}, "dimensions"),
        ({"vector": "half"}, "not JSON"),
        ({"vector": '{"a": 1}'}, "expected numbers"),
        ({"id": "berlin", "filter": "{"}, "not JSON"),
        ({"id": "berlin", "filter": "[]"}, "expected a query"),
        ({"id": "berlin", "filter": '{"no_such_query": {}}'}, "no_such_query"),
        ({"id": "berlin", "k": "many"}, "k:"),
        ({"id": "berlin", "k": "101"}, "k:"),
        ({"id": "berlin", "recall": "2"}, "recall:"),
        ({"id": "berlin", "field": "other"}, "other"),
        ({"id": "berlin", "vector": "[1, 2]"}, "several"),
        ({"id": "berlin", "filter": json.dumps(CLAUSE)}, "another search"),
    ],
    ids=lambda value: str(value)[:24],
)  # fmt: skip
@pytest.mark.parametrize("what", ["search", "map"])
def test_what_cannot_be_asked_is_told_beside_the_form(gateway, words, what, params, words_of_it):
    status, _, text = page(gateway, f"{what}/{words.index}", **params)
    assert status == 200, text
    fault = re.search(r'<p class="fault" role="alert">(.*?)</p>', text, re.DOTALL)
    assert fault is not None and words_of_it in html.unescape(fault[1])
    assert "<form" in text


def test_an_analogy_by_both_methods(gateway, words):
    _, _, text = page(gateway, f"analogies/{words.index}", a="berlin", b="germany", c="paris")
    for method in ("3CosAdd", "3CosMul"):
        section = text.split(f">{method}</h2>")[1]
        assert re.search(r"<bdi>(.*?)</bdi>", section)[1] == "france"
    status, _, text = page(
        gateway, f"analogies/{words.index}", a="berlin", b="germany", c="no such word"
    )
    assert status == 200 and "no such word" in text and 'role="alert"' in text


def test_the_index_shows_its_buckets_and_its_promise(gateway, words):
    _, _, text = page(gateway, f"index/{words.index}")
    sizes, recalls = plots_in(text)
    assert sum(bar["buckets"] for bar in sizes["data"]["values"]) == 256
    assert all(0 < point["recall"] <= 1 for point in recalls["data"]["values"])
    status, _, text = page(gateway, f"index/{words.index}", method="POST")
    assert status == 200 and "recall@" in text and "Findings" in text


@pytest.mark.parametrize(
    "headers",
    [
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site", "origin": "http://127.0.0.1:1"},
        {"origin": "http://evil.example"},
        {"origin": "null"},
    ],
    ids=lambda headers: "-".join(headers.values()),
)
def test_no_other_site_changes_anything(gateway, words, engine, headers):
    """In the name of whoever a browser knows."""
    targets = (f"/_meta4/index/{words.index}", f"/{words.index}/_delete_by_query?q=*:*")
    for target in targets:
        status, _, body = ask(gateway, "POST", target, headers=headers)
        assert status == 403, body
    assert engine.count(words.index) == len(words.words)
    own = {"origin": gateway, "sec-fetch-site": "same-origin"}
    assert ask(gateway, "POST", f"/{words.index}/_refresh", headers=own)[0] == 200
    assert ask(gateway, "GET", f"/{words.index}/_count", headers=headers)[0] == 200


def test_the_map_has_all_documents_and_lights_what_is_looked_into(gateway, words):
    _, _, text = page(gateway, f"map/{words.index}")
    (plot,) = plots_in(text)
    cells = plot["layer"][0]["data"]["values"]
    explained = words.meta4.explain(
        index=words.index,
        body={"query": {"meta4_similar": {FIELD: {"id": "berlin", "recall": 0.9}}}},
    )
    assert not any(cell["is_probed"] for cell in cells)
    _, _, text = page(gateway, f"map/{words.index}", id="berlin", recall=0.9)
    (plot,) = plots_in(text)
    lit = {cell["bucket"] for cell in plot["layer"][0]["data"]["values"] if cell["is_probed"]}
    assert lit == set(explained["clauses"][0]["buckets"])
    marks = plot["layer"][1]["data"]["values"]
    assert [mark["what"] for mark in marks] == ["query"] + ["hit"] * 10
    _, _, text = page(gateway, f"map/{words.index}", id="berlin", recall=1.0)
    (plot,) = plots_in(text)
    assert all(cell["is_probed"] for cell in plot["layer"][0]["data"]["values"])
    assert "All buckets are looked into" in text and "not looked into" not in text


def test_the_plane_keeps_what_differs_most(words_model):
    plane = _plane(words_model)
    assert isinstance(plane, Plane)
    np.testing.assert_allclose(plane.axes @ plane.axes.T, np.eye(2), atol=1e-5)
    np.testing.assert_allclose(plane.place(words_model.centroids[:9]), plane.places[:9], atol=1e-5)
    spread = plane.places.var(axis=0)
    assert spread[0] >= spread[1]
    rng = np.random.default_rng(1)
    others = np.linalg.qr(rng.normal(size=(words_model.dims, 2)))[0]
    assert (words_model.centroids @ others).var(axis=0).sum() < spread.sum()


def test_what_is_typical_of_a_cell(gateway, words):
    (plot,) = plots_in(page(gateway, f"map/{words.index}")[2])
    largest = max(plot["layer"][0]["data"]["values"], key=lambda cell: cell["documents"])
    status, _, text = page(gateway, f"cell/{words.index}", bucket=largest["bucket"])
    told = json.loads(text)
    assert status == 200
    assert told["documents"] == largest["documents"]
    assert len(told["typical"]) == 5
    (plot,) = plots_in(page(gateway, f"map/{words.index}", id="berlin", recall=0.9)[2])
    some = next(one for one in plot["layer"][0]["data"]["values"] if one["is_probed"])
    text = page(gateway, f"cell/{words.index}", bucket=some["bucket"], by="home")[2]
    assert json.loads(text)["documents"] == some["documents"]
    for bucket in ("", "zz", "ffffff", '"'):
        assert page(gateway, f"cell/{words.index}", bucket=bucket)[0] == 404


def test_ids_are_completed(gateway, words, hostile):
    for name in HOSTILE:
        status, _, text = page(gateway, f"complete/{hostile}", typed=name)
        assert status == 200, text
        assert json.loads(text)[0]["id"] == name
    by_words = json.loads(page(gateway, f"complete/{hostile}", typed="日本")[2])
    assert any(one["id"] == "日本 語" for one in by_words)
    assert json.loads(page(gateway, f"complete/{words.index}", typed=" ")[2]) == []


class Markup(HTMLParser):
    """The tags of a page, and the attributes that could run something."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.run = set(), []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.tags.add(tag)
        names = dict(attributes)
        self.run += [name for name in names if name.startswith("on") or name == "style"]
        if tag == "script":
            self.run += [] if "src" in names or "json" in names.get("type", "") else [tag]


@pytest.mark.parametrize("what", ["search", "map"])
def test_nothing_that_a_document_says_becomes_markup(gateway, hostile, words, what):
    usual = Markup(page(gateway, f"{what}/{words.index}", id="berlin", k=9)[2])
    for name in HOSTILE:
        status, _, text = page(gateway, f"{what}/{hostile}", id=name, k=9, recall=1.0)
        assert status == 200
        assert 'role="alert"' not in text
        found = Markup(text)
        assert found.tags <= usual.tags | {"dl", "dt", "dd"}
        assert found.run == []
        assert "{{ 7 * 7 }}" in text
        assert "x" * 500 not in text
        plots_in(text)


def test_an_index_whose_name_is_markup(gateway):
    status, _, text = page(gateway, "search/" + quote("<script>alert(1)</script>", safe=""))
    assert status in (400, 404)
    assert Markup(text).run == []


def test_the_code_that_is_shown_runs(gateway, words, engine):
    _, _, text = page(gateway, f"search/{words.index}", id="berlin", k=3, recall=1.0)
    shown = [html.unescape(one) for one in re.findall(r"<code>(.*?)</code></pre>", text, re.DOTALL)]
    sent, by_curl, by_python, by_script = shown
    (expected,) = [
        [hit["_id"] for hit in answer["hits"]["hits"][:3]]
        for answer in [engine.request("POST", f"/{words.index}/_search", json.loads(sent))]
    ]
    done = subprocess.run(["bash", "-c", by_curl], capture_output=True, check=True)
    assert [hit["_id"] for hit in json.loads(done.stdout)["hits"]["hits"]] == expected
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", by_python],
        capture_output=True,
        check=True,
        text=True,
    )
    assert [line.split()[0] for line in done.stdout.splitlines()] == expected
    assert "berlin" in by_script and "await client.search" in by_script


def test_the_code_that_is_shown_asks_for_the_same_document(gateway, hostile):
    for name in HOSTILE:
        _, _, text = page(gateway, f"search/{hostile}", id=name, k=3, recall=1.0)
        names = re.findall(r'<td><a href="[^"]*\?id=([^"&]*)', text.split("<caption>")[1])
        expected = [unquote_plus(html.unescape(one)) for one in names]
        shown = re.findall(r"<code>(.*?)</code></pre>", text, re.DOTALL)
        by_curl, by_python = map(html.unescape, shown[-3:-1])
        done = subprocess.run(["bash", "-c", by_curl], capture_output=True, check=True)
        found = [hit["_id"] for hit in json.loads(done.stdout)["hits"]["hits"]]
        assert found == expected
        assert repr(name) in by_python


def test_what_was_sent_is_what_was_sent(words):
    sent = []

    form = SimilarForm.read({"id": "berlin", "recall": "0.9"})
    steps = results(words.meta4.core, words.index, form, FIELD)
    answer = None
    try:
        while True:
            step = steps.send(answer)
            if isinstance(step, SearchCall) and step.body.get("size") != 0:
                sent.append(step.body)
            answer = words.meta4.engine._do(step)
    except StopIteration as stop:
        told = stop.value
    assert list(told.sent) == sent[: len(told.sent)]
    assert len(told.sent) in (1, 2)


@pytest.mark.parametrize(
    "value",
    [[-1] * 60 + ["x"], {"a": [-1] * 60, "b": "[ " + "-1, " * 60 + "x"}, [], {}, [[], {}]],
)
def test_json_is_readable_and_the_same(value):
    assert json.loads(readable(value)) == value
    assert readable([1, 2.5, -3]) == "[1,2.5,-3]"


def deep(n):
    value = "end"
    for _ in range(n):
        value = {"a": value}
    return value


def test_a_document_of_any_depth_and_length_is_told_of(
    make_index, engine, gateway, models, vectors, index_name
):
    make_index(models["cells"], hashing="client")
    engine.request(
        "PUT",
        f"/{index_name}/_mapping",
        {"properties": {"deep": {"type": "object", "enabled": False}}},
    )
    body = {FIELD: vectors[0].tolist(), "deep": deep(200), "many": ["long " * 1000] * 500}
    status, _, said = ask(
        gateway, "PUT", f"/{index_name}/_doc/one?refresh=true", json.dumps(body),
        {"content-type": "application/json"},
    )  # fmt: skip
    assert status == 201, said
    for path in (f"search/{index_name}", f"map/{index_name}"):
        status, _, text = page(gateway, path, vector=json.dumps(vectors[0].tolist()))
        assert status == 200
        assert "deep" in text and len(text) < 60_000
    assert page(gateway, f"complete/{index_name}", typed="one")[0] == 200


def test_an_index_with_several_fields(gateway, engine, models, sample, index_name):
    """Vectors and texts: the first is taken until another is named, and links keep it."""
    model, minhash = models["cells"], MinHashSpec()
    ref = ModelStore(engine).push("page-fields", model)
    made = [
        new_field(engine, FIELD, ref, model, Options(hashing="client")),
        new_field(engine, "title", minhash, minhash, Options()),
    ]
    bodies = [field.index_body(shards=1, replicas=0, pipeline=None) for field in made]
    engine.create_index(index_name, merged(*bodies))
    try:
        documents = list(word_documents(sample, range(60)))
        for document in documents:
            document.source["title"] = f"the word {document.id} and what is to be said of it"
        Meta4(engine).load(index=index_name, documents=documents)
        engine.refresh(index_name)
        for what in PAGES:
            status, _, text = page(gateway, f"{what}/{index_name}")
            assert status == 200
        for field in (FIELD, "title"):
            _, _, text = page(gateway, f"search/{index_name}", id="the", field=field, recall=1.0)
            assert f"field={field}" in text.split("<caption>")[1]
            assert "bucket" not in text.split("<tbody>")[1].split("</tbody>")[0]
    finally:
        engine.delete_index(index_name)


def test_an_index_without_documents(gateway, make_index, models, index_name):
    make_index(models["cells"])
    for what in PAGES:
        assert page(gateway, f"{what}/{index_name}")[0] == 200
    assert page(gateway, f"index/{index_name}", method="POST")[0] == 200
    status, _, text = page(gateway, f"search/{index_name}", vector=json.dumps([0.5] * 100))
    assert status == 200 and "Nothing was found" in text


@pytest.fixture
def texts_index(engine, index_name):
    create_text_index(engine, index_name, TEXTS)
    load_documents(engine, index_name, text_documents(stdlib_texts()[:60]), TextHasher(TEXTS))
    engine.refresh(index_name)
    yield index_name
    engine.delete_index(index_name)


def test_an_index_of_texts(gateway, texts_index):
    for what in ("search", "index"):
        assert page(gateway, f"{what}/{texts_index}")[0] == 200
    status, _, text = page(gateway, f"search/{texts_index}", text="a quick brown fox jumps over it")
    assert status == 200 and 'role="alert"' not in text
    status, _, text = page(gateway, f"map/{texts_index}")
    assert status == 400 and "no place" in text


def test_files_of_the_page(gateway):
    for name in ("page.js", "page.css", "icon.svg", "vega/vega.min.js"):
        status, headers, text = page(gateway, f"static/{name}")
        assert status == 200 and text
        assert headers["x-content-type-options"] == "nosniff"


def test_forms_read_what_people_type():
    form = SimilarForm.read({"id": "  berlin ", "vector": " ", "field": ""})
    assert (form.id, form.vector, form.field) == ("  berlin ", None, None)  # an id may be so
    assert form.is_asked and not SimilarForm.read({"id": " "}).is_asked
    assert not AnalogyForm.read({"a": "x", "b": "y"}).is_asked
    with pytest.raises(InputError, match=r"k: .*got 'x'"):
        SimilarForm.read({"k": "x"})


@pytest.mark.parametrize("what", ["search", "map"])
def test_a_vector_too_long_for_an_address_is_sent_in_the_body(gateway, words, what):
    vector = words.vectors[words.words.index("berlin")]
    long = "[" + ", ".join(f"{value:.900f}" for value in vector.tolist()) + "]"
    body = urlencode({"vector": long, "k": 3, "recall": 1.0})
    status, _, text = ask(
        gateway, "POST", f"/_meta4/{what}/{words.index}", body,
        {"content-type": "application/x-www-form-urlencoded"},
    )  # fmt: skip
    assert status == 200
    assert "<bdi>berlin</bdi>" in text.decode().split("<caption>What was found")[1]
