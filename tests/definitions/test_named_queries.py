"""Named queries in a cluster: kept, run by both clients and typed on the command line."""

import asyncio
import json

import pytest
from support.command_line import meta4_here
from support.words import FIELD

from meta4 import AsyncMeta4, Meta4
from meta4.adapter.definitions.definition import read_definition
from meta4.adapter.definitions.store import DEFINITIONS_INDEX, Definitions
from meta4.errors import InputError, NotFoundError

pytestmark = pytest.mark.server


def similar_to(index, k=3):
    return {
        "index": index,
        "parameters": {
            "like": {"type": "string"},
            "colour": {"type": "strings", "default": ["red", "green", "blue", "grey"]},
            "k": {"type": "integer", "default": k, "min": 1, "max": 50},
        },
        "body": {
            "_source": ["colour"],
            "query": {
                "bool": {
                    "must": [{"meta4_similar": {FIELD: {"id": "{{like}}", "k": "{{k}}"}}}],
                    "filter": [{"terms": {"colour.keyword": "{{colour}}"}}],
                }
            },
        },
    }


def by_hand(index, word, k=3, colours=("red", "green", "blue", "grey")):
    body = read_definition(json.dumps(similar_to(index)), "it").filled(
        {"like": word, "k": k, "colour": colours}
    )
    return {"index": index, "body": body}


@pytest.fixture
def query(index_name, engine):
    """A name that no other test has, dropped in the end."""
    yield index_name
    try:
        engine.run(Definitions(engine.calls).drop(index_name))
    except NotFoundError:
        return


@pytest.fixture
def put(engine):
    def put(name, raw):
        definition = read_definition(json.dumps(raw), "it")
        return engine.run(Definitions(engine.calls).put(name, definition))

    return put


def hits(answer):
    return [(hit["_id"], hit["_score"], hit["_source"]) for hit in answer["hits"]["hits"]]


def test_both_clients_answer_as_the_search_does(engine, words, put, query):
    put(query, similar_to(words.index))
    word = words.words[40]
    expected = hits(words.meta4.search(**by_hand(words.index, word, 7, ["red"])))
    assert len(expected) == 7
    parameters = {"like": word, "k": 7, "colour": ["red"]}
    assert hits(Meta4(engine).run(query, **parameters)) == expected

    async def run():
        async with AsyncMeta4(engine.url) as meta4:
            return await meta4.run(query, **parameters)

    assert hits(asyncio.run(run())) == expected


def test_versions(engine, words, put, query):
    meta4 = Meta4(engine)

    def run(reference):
        return len(meta4.run(reference, like=words.words[9])["hits"]["hits"])

    assert [put(query, similar_to(words.index, k)).version for k in (3, 3, 4, 3)] == [1, 1, 2, 3]
    assert [run(f"{query}@{version}") for version in (1, 2, 3)] == [3, 4, 3]
    assert run(query) == 3
    put(query, similar_to(words.index, 6))
    assert run(query) == 6
    for reference, error in (
        (f"{query}@9", NotFoundError), (f"{query}-not", NotFoundError), (f"{query}@x", InputError),
        (f"{query}@", InputError), (f"{query}@0", InputError), ("A/b", InputError),
    ):  # fmt: skip
        with pytest.raises(error):
            meta4.run(reference, like="a")


def test_a_number_stands_for_one_version_for_good(engine, words, put, query):
    put(query, similar_to(words.index, 3))
    store = Definitions(engine.calls)
    assert engine.run(store.drop(query)) == 1
    assert query not in [entry["name"] for entry in engine.run(store.list())]
    for again in (lambda: engine.run(store.get(query)), lambda: engine.run(store.drop(query)),
                  lambda: engine.run(store.get(f"{query}@1"))):  # fmt: skip
        with pytest.raises(NotFoundError, match="meta4 query list"):
            again()
    assert put(query, similar_to(words.index, 3)).version == 2
    with pytest.raises(NotFoundError):
        engine.run(store.get(f"{query}@1"))
    assert engine.run(store.get(query)).version == 2


def test_those_who_put_at_once_lose_nothing(engine, words, put, query):
    """Each gets a version of its own, and no number is given twice."""
    put(query, similar_to(words.index))
    definitions = [
        read_definition(json.dumps(similar_to(words.index, k)), "it") for k in range(4, 14)
    ]

    async def put_all():
        async with AsyncMeta4(engine.url) as meta4:
            engine_of_loop, _ = await meta4._connected()
            store = Definitions(engine_of_loop.calls)
            runs = [engine_of_loop.run(store.put(query, one)) for one in definitions]
            return await asyncio.gather(*runs)

    kept = asyncio.run(put_all())
    assert sorted(one.version for one in kept) == list(range(2, 12))
    store = Definitions(engine.calls)
    for one in kept:
        assert engine.run(store.get(str(one))).definition == one.definition
    assert engine.run(store.get(query)).version == 11


def test_what_is_missing_is_told(engine, words, put, query):
    meta4 = Meta4(engine)
    put(query, similar_to("no-such-index"))
    with pytest.raises(NotFoundError, match="no-such-index"):
        meta4.run(query, like="a")
    put(query, {"index": "no-such-index", "body": {"query": {"match_all": {}}}})
    with pytest.raises(NotFoundError, match="no-such-index"):
        meta4.run(query)
    with pytest.raises(InputError, match="no parameter is called 'self'; there is: none"):
        meta4.run(query, self=1)


def test_what_cannot_be_read_any_more_is_told(engine, words, put, query):
    kept = put(query, similar_to(words.index))
    source = {"name": query, "version": 2, "sha256": "0", "index": "a", "parameters": [],
              "definition": '{"index": "a", "body": {}, "kind": "later"}'}  # fmt: skip
    path = f"/{DEFINITIONS_INDEX}/_doc/{query}@2"
    engine.request("PUT", path, source, {"refresh": "true"})
    with pytest.raises(InputError, match=f"query {query}@2 as it is kept: kind: Extra inputs"):
        Meta4(engine).run(query, like="a")
    assert engine.run(Definitions(engine.calls).get(str(kept))).definition == kept.definition


def test_a_large_definition_is_kept_and_one_too_large_refused(engine, put, query):
    def of_numbers(n):
        return {"index": "a", "body": {"of no use": [0.5] * n}}

    kept = put(query, of_numbers(20_000))
    assert engine.run(Definitions(engine.calls).get(query)) == kept
    with pytest.raises(InputError, match=r"expected at most 1,000,000 bytes"):
        put(query, of_numbers(300_000))


def test_the_index_of_definitions_is_none_of_users(engine, words, put, query):
    put(query, similar_to(words.index))
    assert DEFINITIONS_INDEX not in engine.mappings("*")
    listed = meta4_here("index", "list", "--json", url=engine.url)
    assert DEFINITIONS_INDEX not in listed.stdout


def test_the_command_line(engine, words, query, tmp_path):
    def run(*arguments, stdin=None):
        return meta4_here("query", *arguments, url=engine.url, stdin=stdin)

    file = tmp_path / "like.json"
    file.write_text(json.dumps(similar_to(words.index)))
    assert run("put", query, file).stdout == f"{query}@1\n"
    done = json.loads(run("put", query, "-", "--json", stdin=file.read_text()).stdout)
    assert (done["name"], done["version"]) == (query, 1)
    (row,) = [line for line in run("list").stdout.splitlines() if line.startswith(f"{query}@1")]
    assert words.index in row and "like, colour, k" in row
    entries = json.loads(run("list", "--json").stdout)
    assert [entry["parameters"] for entry in entries if entry["name"] == query] == [
        ["like", "colour", "k"]
    ]

    shown = run("show", query).stdout
    assert f"{query}@1" in shown and '"{{like}}"' in shown
    assert any(line.split() == ["k", "integer", "3", "1", "50"] for line in shown.splitlines())
    as_json = json.loads(run("show", f"{query}@1", "--json").stdout)
    assert as_json == {"name": query, "version": 1, **similar_to(words.index)}

    word = words.words[40]
    expected = hits(words.meta4.search(**by_hand(words.index, word, 5, ["red"])))
    given = ("-p", f"like={word}", "-p", "k=5", "-p", 'colour=["red"]')
    answer = json.loads(run("run", query, *given, "--json").stdout)
    assert hits(answer) == expected
    table = run("run", query, *given).stdout
    for name, score, _ in expected:
        assert name in table and f"{score:.4f}" in table

    for arguments, said in (
        (("run", query), "parameter 'like' (string) is missing"),
        (("run", query, "-p", "like=a", "-p", "k=x"), "parameter 'k': expected a whole number"),
        (("run", query, "-p", "like=a", "-p", "k=500"), "50 or less"),
        (("run", query, "-p", "like=a", "-p", "x=1"), "no parameter is called 'x'"),
        (("run", query, "-p", "like"), "expected NAME=VALUE"),
        (("run", query, "-p", "like=a", "-p", "like=b"), "each name once"),
        (("run", query, "-p", "like=no-such-word"), "no-such-word"),
        (("run", f"{query}@7", "-p", "like=a"), "no query is kept as"),
        (("show", "no-such-query"), "no query is kept as 'no-such-query'; see: meta4 query list"),
        (("put", "Not A Name", file), "query name 'Not A Name': expected"),
    ):
        done = run(*arguments)
        assert done.returncode == 2, (arguments, done)
        assert said in done.stderr and done.stderr.count("\n") == 1, done.stderr
    done = run("put", query, "-", stdin='{"index": "a", "body": {"query": "{{x}}"}}')
    assert done.returncode == 2
    assert done.stderr == (
        "meta4: the definition: {{x}} in body.query: 'parameters' does not declare 'x'\n"
    )
    assert "is gone (1 version)" in run("drop", query, "--yes").stdout
    assert run("drop", query, "--yes").returncode == 2


def test_aggregations_and_other_orders_are_shown(engine, words, put, query):
    put(query, {
        "index": words.index,
        "parameters": {"n": {"type": "integer"}},
        "body": {"size": "{{n}}", "sort": [{"rank": "asc"}], "_source": False,
                 "aggs": {"most": {"max": {"field": "rank"}}}},
    })  # fmt: skip
    table = meta4_here("query", "run", query, "-p", "n=2", url=engine.url).stdout
    assert '"most"' in table and words.words[1] in table
    arguments = ("query", "run", query, "-p", "n=0", "--json")
    shown = json.loads(meta4_here(*arguments, url=engine.url).stdout)
    assert shown["hits"]["hits"] == [] and shown["aggregations"]["most"]["value"] == 11_999
