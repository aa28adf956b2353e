"""One index on both engines: the same ids in the same order, unless scores are level."""

import numpy as np
import pytest
from support.words import FIELD, N_SHARED, Words

from meta4 import Meta4
from meta4.adapter.engines.connection import connect
from meta4.adapter.engines.place import Place
from meta4.adapter.move.copy import copy_index

pytestmark = pytest.mark.server
N_QUERIES, N_QUESTIONS = 1000, 200
#: Scores nearer than this are level: float32, added in another order.
LEVEL = 1e-5
CONDITIONS = {"unfiltered": [], "filtered": [{"terms": {"tenth": [1, 4, 7]}}]}


@pytest.fixture(scope="module")
def both(nodes, sample, words_model):
    """An index on OpenSearch, and its copy on Elasticsearch: one model, one calibration."""
    source, target = (
        Place(connect(nodes(name).url), Words.index) for name in ("opensearch", "elasticsearch")
    )
    target = Place(target.engine, "words-of-opensearch")
    Words(source.engine, sample, words_model)
    assert copy_index(source, target).is_whole
    yield [(Meta4(place.engine), place.index) for place in (source, target)]
    target.engine.delete_index(target.index)
    for place in (source, target):
        place.engine.close()


def answers(both, clause, conditions):
    """Ids and scores from each engine."""
    query = {"bool": {"must": [clause], "filter": conditions}} if conditions else clause
    body = {"query": query, "_source": False}
    for meta4, index in both:
        hits = meta4.search(index=index, body=body)["hits"]["hits"]
        yield [hit["_id"] for hit in hits], np.array([hit["_score"] for hit in hits])


def disagreement(one, other):
    """What is wrong with the second answer if the first is right; None if nothing is."""
    (ids, scores), (other_ids, other_scores) = one, other
    if len(ids) != len(other_ids) or not np.allclose(scores, other_scores, atol=LEVEL, rtol=0):
        return f"scores {scores} and {other_scores}"
    place = {identity: i for i, identity in enumerate(other_ids)}
    missing = [i for i, identity in enumerate(ids) if identity not in place]
    if missing and scores[missing[0]] - scores[-1] > LEVEL:
        return f"{ids[missing[0]]} is missing"
    kept = [i for i, identity in enumerate(ids) if identity in place]
    for a in kept:
        for b in kept[::-1]:
            if scores[a] - scores[b] <= LEVEL:
                break
            if place[ids[a]] > place[ids[b]]:
                return f"{ids[a]} comes after {ids[b]}"
    return None


def test_a_disagreement_is_seen():
    one = (["a", "b", "c"], np.array([0.9, 0.8, 0.7]))
    assert disagreement(one, one) is None
    assert "comes after" in disagreement(one, (["b", "a", "c"], one[1]))
    assert "missing" in disagreement(one, (["a", "d", "c"], one[1]))
    assert "scores" in disagreement(one, (["a", "b", "c"], np.array([0.9, 0.8, 0.6999])))
    level = (["a", "b", "c"], np.array([0.9, 0.800001, 0.8]))
    assert disagreement(level, (["a", "c", "d"], level[1])) is None


@pytest.mark.parametrize("name", CONDITIONS)
def test_queries(both, sample, name):
    for query in sample.vectors[N_SHARED : N_SHARED + N_QUERIES]:
        clause = {"meta4_similar": {FIELD: {"vector": query.tolist(), "k": 25}}}
        assert disagreement(*answers(both, clause, CONDITIONS[name])) is None


@pytest.mark.parametrize("method", ["3cosadd", "3cosmul"])
@pytest.mark.parametrize("name", CONDITIONS)
def test_analogies(both, sample, name, method):
    indexed = set(sample.words[:N_SHARED])
    questions = [question for question in sample.questions if set(question) <= indexed]
    assert len(questions) >= N_QUESTIONS
    for question in questions[:N_QUESTIONS]:
        operands = {x: {"id": word} for x, word in zip("abc", question[:3], strict=True)}
        clause = {"meta4_analogy": {FIELD: {**operands, "k": 10, "method": method}}}
        assert disagreement(*answers(both, clause, CONDITIONS[name])) is None
