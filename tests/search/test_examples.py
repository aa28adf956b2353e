"""`like` and `unlike`: the mean of examples less a part of others, beside NumPy."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.command_line import meta4_here
from support.words import FIELD

from meta4.errors import ClauseError

pytestmark = pytest.mark.server
UNLIKE = 0.2
#: Words by their rank, some of them by id and some by vector.
EXAMPLES = st.lists(st.tuples(st.integers(0, 2999), st.booleans()), min_size=1, max_size=4)


def search(words, clause, **body):
    query = {"meta4_similar": {FIELD: clause}}
    return words.meta4.search(index=words.index, body={"query": query, "_source": False, **body})


def mean(vectors):
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).mean(axis=0)


@settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(liked=EXAMPLES, unliked=st.just([]) | EXAMPLES)
def test_it_is_the_mean_less_a_part_and_none_of_the_examples(words, liked, unliked):
    def operands(examples):
        return [
            {"id": words.words[row]} if by_id else {"vector": words.vectors[row].tolist()}
            for row, by_id in examples
        ]

    target = mean(words.vectors[[row for row, _ in liked]])
    clause = {"like": operands(liked), "k": 8, "recall": 1.0}
    if unliked:
        target = target - UNLIKE * mean(words.vectors[[row for row, _ in unliked]])
        clause["unlike"] = operands(unliked)
    if np.linalg.norm(target) < 1e-3:
        return
    hits = search(words, clause)["hits"]["hits"]
    named = {row for row, by_id in [*liked, *unliked] if by_id}
    keep = np.ones(len(words.words), dtype=bool)
    keep[list(named)] = False
    best = np.sort(words.scores(target, keep))[::-1][:8]
    assert [hit["_score"] for hit in hits] == pytest.approx(best, abs=2e-6)
    assert not {words.words[row] for row in named} & {hit["_id"] for hit in hits}


def test_the_promised_recall_holds_for_means(words):
    groups = words.held_out[:180].reshape(60, 3, -1)
    found = []
    for group in groups:
        hits = search(words, {"like": [{"vector": one.tolist()} for one in group], "k": 10})
        best = np.sort(words.scores(mean(group)))[::-1][9]
        found.append(np.mean([hit["_score"] >= best - 1e-6 for hit in hits["hits"]["hits"]]))
    assert np.mean(found) >= 0.95 - 0.01


def test_filters_pages_and_explanations(words):
    clause = {"like": [{"id": "berlin"}, {"id": "hamburg"}], "unlike": [{"id": "munich"}], "k": 6}
    whole = [hit["_id"] for hit in search(words, clause)["hits"]["hits"]]
    page = search(words, clause, **{"from": 2, "size": 2})
    assert [hit["_id"] for hit in page["hits"]["hits"]] == whole[2:4]
    body = {"query": {"meta4_similar": {FIELD: clause}}}
    (told,) = words.meta4.explain(index=words.index, body=body)["clauses"]
    assert told["k"] == 6


@pytest.mark.parametrize(
    ("clause", "words_of"),
    [
        ({"like": []}, "like"),
        ({"like": [{"id": "berlin"}], "id": "paris"}, "or 'like' for several"),
        ({"unlike": [{"id": "berlin"}], "id": "paris"}, "'unlike' takes away from 'like'"),
        ({"like": [{"id": "berlin", "text": "x"}]}, "give either"),
        ({"like": [{"vector": [1.0] * 100}, {"vector": [-1.0] * 100}]}, "no direction"),
    ],
)
def test_what_cannot_be_is_refused(words, clause, words_of):
    with pytest.raises(ClauseError, match=words_of):
        search(words, clause)


def test_on_the_command_line(node, words):
    options = ("--index", words.index, "-k", 3)
    done = meta4_here("similar", "berlin", "paris", "--unlike", "london", *options, url=node.url)
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) >= 4
    refused = meta4_here("similar", "--unlike", "london", "--text", "x", *options, url=node.url)
    assert refused.returncode == 2
    assert "give their ids" in refused.stderr
