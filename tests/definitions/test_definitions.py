"""What a definition may be, and that no value leaves its place."""

import copy
import json
import os

import numpy as np
import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from meta4.adapter.definitions import places as placing
from meta4.adapter.definitions.definition import read_definition
from meta4.adapter.definitions.parameters import IN_TEXT
from meta4.errors import InputError

IS_LONG = "META4_FUZZ" in os.environ

LIKE = {
    "index": "words",
    "parameters": {
        "like": {"type": "string"},
        "lang": {"type": "string", "default": "de"},
        "k": {"type": "integer", "default": 5, "min": 1, "max": 100},
    },
    "body": {
        "query": {
            "bool": {
                "must": [{"meta4_similar": {"embedding": {"id": "{{like}}", "k": "{{k}}"}}}],
                "filter": [{"term": {"lang": "{{lang}}"}}, {"prefix": {"tag": "{{lang}}-{{k}}"}}],
            }
        },
        "size": "{{k}}",
    },
}  # fmt: skip


def read(raw):
    return read_definition(json.dumps(raw), "it")


def defined(body, **types):
    """With parameters of these types, which are all used."""
    parameters = {name: one if isinstance(one, dict) else {"type": one}
                  for name, one in types.items()}  # fmt: skip
    return {"index": "words", "parameters": parameters, "body": body}


def test_values_have_their_types_in_their_places():
    body = read(LIKE).filled({"like": "berlin", "k": 3})
    assert body == {
        "query": {
            "bool": {
                "must": [{"meta4_similar": {"embedding": {"id": "berlin", "k": 3}}}],
                "filter": [{"term": {"lang": "de"}}, {"prefix": {"tag": "de-3"}}],
            }
        },
        "size": 3,
    }


def test_what_was_put_in_is_not_looked_through_again():
    body = read(LIKE).filled({"like": "{{lang}}", "lang": "{{k}}"})
    assert body["query"]["bool"]["must"][0]["meta4_similar"]["embedding"]["id"] == "{{lang}}"
    assert body["query"]["bool"]["filter"][1]["prefix"]["tag"] == "{{k}}-5"


def test_arrays_of_numpy_and_tuples_are_arrays():
    raw = defined({"query": {"knn": {"v": "{{v}}"}}, "terms": "{{s}}", "n": "{{n}}"},
                  v="vector", s="strings", n="integer")  # fmt: skip
    given = {"v": np.float32([1, 0.5]), "s": ("a", "b"), "n": np.int64(3)}
    assert read(raw).filled(given) == {
        "query": {"knn": {"v": [1.0, 0.5]}}, "terms": ["a", "b"], "n": 3
    }  # fmt: skip


def test_texts_are_read_as_their_types_say():
    types = {"s": "string", "i": "integer", "n": "number", "b": "boolean", "v": "vector",
             "t": "strings"}  # fmt: skip
    raw = defined({"each": [f"{{{{{name}}}}}" for name in types]}, **types)
    texts = {"s": "5", "i": "5", "n": "0.5", "b": "true", "v": "[1, 2.5]", "t": '["x"]'}
    assert read(raw).read(texts) == {
        "s": "5", "i": 5, "n": 0.5, "b": True, "v": [1, 2.5], "t": ["x"]
    }  # fmt: skip
    for name, text in (("i", "5.0"), ("i", "a"), ("i", "true"), ("i", "9" * 30), ("n", "NaN"),
                       ("b", "1"), ("v", "1"), ("v", "[]"), ("v", "[null]"), ("t", "x"),
                       ("t", "[1]"), ("n", '{"gte": 1}')):  # fmt: skip
        with pytest.raises(InputError, match=f"parameter '{name}': expected"):
            read(raw).read({name: text})


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({}, "parameter 'like' (string) is missing"),
        ({"like": "a", "x": 1}, "no parameter is called 'x'; there is: 'like', 'lang', 'k'"),
        ({"like": 5}, "parameter 'like': expected a text (string), got 5"),
        ({"like": None}, "expected a text"),
        ({"like": {"gte": 0}}, "expected a text"),
        ({"like": "half \ud800"}, "expected a text"),
        ({"like": "a", "k": 0}, "expected a whole number, 1 or more, 100 or less"),
        ({"like": "a", "k": True}, "expected a whole number"),
        ({"like": "a", "k": 5.0}, "expected a whole number"),
        ({"like": "a", "k": "5"}, "expected a whole number"),
    ],
    ids=str,
)
def test_values_that_do_not_fit_are_refused(values, words):
    with pytest.raises(InputError) as refused:
        read(LIKE).filled(values)
    assert words in str(refused.value)


def changed(**what):
    return {**LIKE, **what}


BODY = {"query": {"term": {"a": "{{a}}"}}}
BAD = {
    "it: not JSON": "{",
    "it: Input should be": "[]",
    "body: Field required": {"index": "words"},
    "querry: Extra inputs": changed(querry=1),
    "expected letters": changed(index="a/b"),
    "index: Input should be a valid string": changed(index=["a"]),
    "index '{{like}}'": changed(index="{{like}}"),
    "Input should be 'string', 'integer'": defined(BODY, a="keyword"),
    "parameter 'a b'": defined({"query": "{{a}}"}, **{"a b": "string"}),
    "not pretty": defined({"query": "{{pretty}}"}, pretty="string"),
    "'parameters' does not declare 'a'": defined(BODY),
    "parameter 'b' is declared, and {{b}} is nowhere": defined(BODY, a="string", b="string"),
    "parameter 'default': expected a whole number": defined(
        BODY, a={"type": "integer", "default": "1"}
    ),
    "expected a text (string), got None": defined(BODY, a={"type": "string", "default": None}),
    "'min' and 'max' are for numbers": defined(BODY, a={"type": "string", "min": 1}),
    "no number is": defined(BODY, a={"type": "integer", "min": 3, "max": 2}),
    "1 or more": defined(BODY, a={"type": "integer", "min": 1, "default": 0}),
    "cannot be a key": defined({"query": {"term": {"{{a}}": "{{a}}"}}}, a="string"),
    "expected places as in '{{name}}'": defined({"query": "{{ a }}", "b": "{{a}}"}, a="string"),
    "got 'a}}'": defined({"query": "{{a}}", "b": "a}}"}, a="string"),
    "a vector cannot stand inside": defined({"query": "x {{a}}"}, a="vector"),
    "a boolean cannot stand inside": defined({"query": "{{a}}{{a}}"}, a="boolean"),
    "'query_string' is a language": None,
    "tried with": defined(
        {"query": {"meta4_similar": {"f": {"id": "{{a}}", "k": "{{a}}"}}}}, a="string"
    ),
    "cannot stand in 'must_not'": defined(
        {"query": {"bool": {"must_not": {"meta4_similar": {"f": {"id": "{{a}}"}}}}}}, a="string"
    ),
    "cannot stand in 'post_filter'": defined(
        {"post_filter": {"meta4_similar": {"f": {"id": "{{a}}"}}}}, a="string"
    ),
}
BAD["'query_string' is a language"] = defined(
    {"query": {"query_string": {"query": "lang:{{a}}"}}}, a="integer"
)


@pytest.mark.parametrize("words", BAD)
def test_what_cannot_be_run_is_refused_when_it_is_put(words):
    raw = BAD[words]
    with pytest.raises(InputError) as refused:
        read_definition(raw if isinstance(raw, str) else json.dumps(raw), "it")
    assert words in str(refused.value)
    assert str(refused.value).startswith("it: ")
    assert "\n" not in str(refused.value)


def nested(n):
    return [nested(n - 1)] if n else "{{a}}"


@pytest.mark.parametrize("depth", [201, 900])
def test_a_body_too_deep_is_refused(depth):
    raw = {"query": {"meta4_similar": {"f": {"id": "{{a}}"}}}, "x": nested(depth)}
    with pytest.raises(InputError, match="nested deeper than 200"):
        read(defined(raw, a="string"))


@pytest.mark.parametrize(
    "body",
    [
        {"query": {"query_string": {"query": "{{a}}"}}},
        {"query": {"simple_query_string": {"query": "{{a}}", "fields": ["t"]}}},
        {"query": {"wildcard": {"t": "{{a}}*"}}},
        {"query": {"wildcard": {"t": {"value": "{{a}}"}}}},
        {"query": {"regexp": {"t": {"value": "{{a}}"}}}},
        {"query": {"bool": {"must": [{"intervals": {"t": {"wildcard": {"pattern": "{{a}}"}}}}]}}},
        {"query": {"wrapper": {"query": "{{a}}"}}},
        {"query": {"kql": {"query": "{{a}}"}}},
        {"suggest": {"s": {"regex": "{{a}}"}}},
        {"query": {"script_score": {"query": {"match_all": {}}, "script": "{{a}}"}}},
        {"query": {"script_score": {"script": {"source": "1 + {{a}}"}}}},
        {"query": {"script_score": {"script": {"id": "{{a}}", "params": {"b": 1}}}}},
        {"sort": [{"_script": {"type": "number", "script": {"source": "{{a}}"}}}]},
        {"aggs": {"x": {"scripted_metric": {"init_script": "{{a}}", "params": {}}}}},
        {"runtime_mappings": {"x": {"type": "long", "script": {"source": "emit({{a}})"}}}},
        {"sort": [{"_script": {"type": "number", "order": "{{a}}", "script": "1"}}]},
        {"query": {"script": {"script": {"source": {"params": "{{a}}"}}}}},
        {"script_fields": {"x": {"script": {"lang": "{{a}}", "source": "1"}}}},
        {"aggs": {"x": {"terms": {"field": "t", "include": "{{a}}"}}}},
        {"aggs": {"x": {"terms": {"field": "t", "exclude": "a{{a}}"}}}},
    ],
    ids=json.dumps,
)
def test_no_place_is_in_a_language(body):
    with pytest.raises(InputError, match=r"language|part of a script|a pattern"):
        read(defined(body, a="string"))


def test_scripts_take_values_and_aggregations_terms():
    read(defined({"query": {"script_score": {"script": {
        "source": "params.a * _score", "params": {"a": "{{a}}"}}}}}, a="number"))  # fmt: skip
    read(defined({"sort": [{"_script": {"type": "number", "script": {
        "source": "params.a", "params": {"a": ["{{a}}"]}}}}]}, a="number"))  # fmt: skip
    read(defined({"aggs": {"x": {"terms": {"field": "t", "include": "{{a}}"}}}}, a="strings"))
    read(defined({"aggs": {"x": {"terms": {"field": "t", "include": ["{{a}}"]}}}}, a="string"))


def test_the_same_in_another_order_is_the_same():
    one, other = read(LIKE), read(dict(reversed(LIKE.items())))
    assert one.sha256 == other.sha256
    more = copy.deepcopy(LIKE)
    more["parameters"]["k"]["default"] = 6
    assert read(more).sha256 != one.sha256
    assert read_definition(one.text, "it") == one


# --- a fuzzer's ---------------------------------------------------------------------------------

EVIL = (
    '"}}, "query": {"match_all": {}}, "x": {"a": "', "{{a}}", "{{b}}{{a}}", "}}", "{{", "\\", '"',
    "* OR *", "'); System.exit(1); //", "\\u0022}", "${a}", "{a}", "%(a)s", "\\g<0>", "\\1", "",
    "_all", '{"match_all": {}}', "\x00", "null", "true",
)  # fmt: skip
texts = st.sampled_from(EVIL) | st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
integers = st.integers(-(2**63), 2**63 - 1)
numbers = integers | st.floats(allow_nan=False, allow_infinity=False)
OF_TYPE = {
    "string": texts,
    "integer": integers,
    "number": numbers,
    "boolean": st.booleans(),
    "vector": st.lists(numbers, min_size=1, max_size=4),
    "strings": st.lists(texts, max_size=4),
}
#: What no string around a place and no key has.
plain = st.text(st.characters(exclude_characters="{}", exclude_categories=["Cs"]), max_size=6)


#: Hypothesis draws words out of the source, too: of these a place below is refused.
REFUSED = placing._LANGUAGES | placing._SHAPES | placing._PATTERNS | {"script", "pit"}
keys = plain.filter(lambda key: key not in REFUSED and not key.endswith(("_script", "_template")))


@st.composite
def filled_bodies(draw):
    """A definition, values for its parameters, and some that are of none of its types."""
    names = draw(st.lists(st.sampled_from(["a", "b", "c_1", "D"]), min_size=1, unique=True))
    types = {name: draw(st.sampled_from(sorted(OF_TYPE))) for name in names}
    whole = st.sampled_from([f"{{{{{name}}}}}" for name in names])
    inner = [f"{{{{{name}}}}}" for name in names if types[name] in IN_TEXT]
    leaves = st.one_of(whole, whole, plain, st.none(), st.booleans(), numbers)
    if inner:
        parts = st.lists(st.sampled_from(inner) | plain, min_size=1, max_size=4)
        leaves |= parts.map(lambda some: "-" + "".join(some))
    tree = draw(
        st.recursive(
            leaves,
            lambda some: st.lists(some, max_size=4) | st.dictionaries(keys, some, max_size=4),
            max_leaves=12,
        )
    )
    body = {"of it": tree, "each": [f"{{{{{name}}}}}" for name in names]}
    values = {name: draw(OF_TYPE[types[name]]) for name in names}
    others = {name: draw(st.sampled_from(sorted(set(OF_TYPE) - {types[name]}))) for name in names}
    wrong = {name: draw(OF_TYPE[kind] | st.just({"match_all": {}}))
             for name, kind in others.items()}  # fmt: skip
    return defined(body, **types), values, wrong


def assert_only_places_differ(body, made, values):
    """An own reading of what a place means, by splitting and not by patterns."""
    if isinstance(body, dict):
        assert isinstance(made, dict) and list(made) == list(body)
        for key in body:
            assert_only_places_differ(body[key], made[key], values)
    elif isinstance(body, list):
        assert isinstance(made, list) and len(made) == len(body)
        for one, other in zip(body, made, strict=True):
            assert_only_places_differ(one, other, values)
    elif isinstance(body, str) and body[2:-2] in values and body == f"{{{{{body[2:-2]}}}}}":
        assert type(made) is type(values[body[2:-2]]) and made == values[body[2:-2]]
    elif isinstance(body, str):
        assert isinstance(made, str)
        first, *rest = body.split("{{")
        expected = first
        for part in rest:
            name, _, after = part.partition("}}")
            value = values[name]
            expected += (value if isinstance(value, str) else orjson.dumps(value).decode()) + after
        assert made == expected
    else:
        assert type(made) is type(body) and made == body


def sound(value, kind):
    """By types alone: a whole number is a number, and an array of none is one of texts."""
    is_number = type(value) in (int, float)
    if kind in ("string", "boolean", "integer"):
        return type(value) is {"string": str, "boolean": bool, "integer": int}[kind]
    if kind == "number":
        return is_number
    if type(value) is not list or (kind == "vector" and not value):
        return False
    return all(type(each) is str if kind == "strings" else type(each) in (int, float)
               for each in value)  # fmt: skip


@settings(
    max_examples=10_000 if IS_LONG else 200, deadline=None, derandomize=not IS_LONG, database=None
)
@given(filled_bodies())
def test_no_value_leaves_its_place(drawn):
    raw, values, wrong = drawn
    definition = read(raw)
    before = copy.deepcopy(values)
    made = definition.filled(values)
    assert values == before
    assert_only_places_differ(definition.body, made, values)
    assert definition.body == raw["body"]
    for name, value in wrong.items():
        if not sound(value, raw["parameters"][name]["type"]):
            with pytest.raises(InputError, match=f"parameter '{name}'"):
                definition.filled({**values, name: value})
