import pytest

from meta4.adapter.search.clauses import AnalogyClause, SimilarClause
from meta4.adapter.search.sites import find_sites
from meta4.errors import ClauseError

SIMILAR = {"meta4_similar": {"v": {"id": "a"}}}
RED, OLD = {"term": {"colour": "red"}}, {"range": {"rank": {"gt": 5}}}


def test_defaults():
    (site,) = find_sites({"query": SIMILAR})
    assert site.path == ()
    assert site.field == "v"
    assert site.clause == SimilarClause(id="a", k=10, recall=0.95)
    analogy = {"meta4_analogy": {"v": {x: {"id": x} for x in "abc"}}}
    (site,) = find_sites({"query": analogy})
    assert isinstance(site.clause, AnalogyClause)
    assert (site.clause.method, site.clause.recall) == ("3cosadd", 0.99)


def test_filters_beside_and_above_a_clause_are_collected():
    query = {
        "bool": {
            "filter": [RED],
            "must_not": OLD,
            "must": [{"bool": {"must": SIMILAR, "filter": OLD, "should": [RED]}}],
        }
    }
    (site,) = find_sites({"query": query})
    assert site.path == ("bool", "must", 0, "bool", "must")
    assert site.filters == (RED, OLD)
    assert site.exclusions == (OLD,)


def test_other_scoring_queries_narrow_the_search_too():
    match = {"match": {"text": "x"}}
    (site,) = find_sites({"query": {"bool": {"must": [match, SIMILAR]}}})
    assert site.filters == (match,)


def test_a_should_clause_is_not_narrowed_by_its_sisters():
    match = {"match": {"text": "x"}}
    (site,) = find_sites({"query": {"bool": {"should": [SIMILAR, match]}}})
    assert site.filters == ()
    assert site.path == ("bool", "should", 0)


@pytest.mark.parametrize(
    "wrap",
    [
        lambda q: {"constant_score": {"filter": q}},
        lambda q: {"function_score": {"query": q, "weight": 2}},
        lambda q: {"script_score": {"query": q, "script": {"source": "_score"}}},
        lambda q: {"boosting": {"positive": q, "negative": RED, "negative_boost": 0.5}},
        lambda q: {"dis_max": {"queries": [RED, q]}},
        lambda q: {"bool": {"filter": [q]}},
    ],
)
def test_places_where_a_clause_may_stand(wrap):
    assert len(find_sites({"query": wrap(SIMILAR)})) == 1


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ({"bool": {"must_not": [SIMILAR]}}, "must_not"),
        ({"nested": {"path": "p", "query": SIMILAR}}, "'nested'"),
        ({"boosting": {"positive": RED, "negative": SIMILAR}}, "'negative'"),
        (SIMILAR | RED, "one key"),
        ({"meta4_similar": {}}, "one field"),
        ({"meta4_similar": {"v": {}}}, "either 'id' or 'vector'"),
        ({"meta4_similar": {"v": {"id": "a", "vector": [1.0]}}}, "either 'id' or 'vector'"),
        ({"meta4_similar": {"v": {"id": "a", "k": 0}}}, r"v\.k: .*greater than or equal to 1"),
        ({"meta4_similar": {"v": {"id": "a", "k": 10**9}}}, "less than or equal to 10000"),
        ({"meta4_similar": {"v": {"id": "a", "recall": 1.5}}}, r"v\.recall"),
        ({"meta4_similar": {"v": {"id": "a", "nprobe": 3}}}, r"v\.nprobe"),
        ({"meta4_analogy": {"v": {"a": {"id": "x"}, "b": {"id": "y"}}}}, r"v\.c: Field required"),
        ({"meta4_analogy": {"v": {"a": "x"}}}, r"v\.a"),
    ],
)
def test_what_cannot_be_read_is_named(query, words):
    with pytest.raises(ClauseError, match=words):
        find_sites({"query": query})


def test_a_vector_may_not_be_taken_for_a_query():
    assert find_sites({"query": {"knn": {"v": {"vector": [0.5] * 100, "k": 3}}}}) == []
