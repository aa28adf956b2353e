"""What is written again is whole, whatever the index: or it is refused, and nothing has changed.

`make test` draws a few indexes of each kind, the same ones each time; `make fuzz` hundreds.
"""

import os

import numpy as np
import pytest
from support.drawn_indexes import (
    aliases_of,
    assert_same_documents,
    differences,
    documents_of,
    draw,
    everything,
    field_of,
    hashed,
    plain,
    scores,
    told,
    write,
)

from meta4.adapter.engines.place import Place
from meta4.adapter.manage.heal import heal_index
from meta4.adapter.model_store import ModelStore
from meta4.adapter.move.alias_move import behind
from meta4.adapter.move.copy import adopt_index, copy_index
from meta4.adapter.move.rehash import make_alias, rehash_index, roll_back
from meta4.errors import InputError, Meta4Error

pytestmark = [pytest.mark.server, pytest.mark.timeout(3000)]
IS_LONG = "META4_FUZZ" in os.environ


def cases(few, many):
    """So many seeds."""
    return pytest.mark.parametrize("seed", range(many if IS_LONG else few))


def drawn_case(engine, seed, name):
    rng = np.random.default_rng(seed)
    return draw(engine, rng, name), rng


# --- one engine -----------------------------------------------------------------------------------


@cases(3, 80)
def test_copied(engine, names, small, seed):
    """A hashed index, or any other one, within one cluster."""
    first, second = f"{names}-1", f"{names}-2"
    drawn, rng = drawn_case(engine, seed, first)
    is_hashed, hashing = rng.random() < 0.6, ["client", "server"][int(rng.integers(2))]
    if is_hashed:
        hashed(engine, first, drawn, small[0], hashing)
    else:
        plain(engine, first, drawn)
    before, documents = told(engine, first), documents_of(engine, first)
    whole = everything(engine, [first])
    try:
        if is_hashed:
            report = copy_index(Place(engine, first), Place(engine, second))
        else:
            made = field_of(engine, small[0], hashing)
            report = adopt_index(Place(engine, first), Place(engine, second), made)
    except Meta4Error as error:
        assert drawn.odd & {"_source", "default_pipeline"}, error
        assert not engine.index_exists(second)
        assert everything(engine, [first]) == whole
        return
    assert "_source" not in drawn.odd
    assert report.is_whole, report
    assert everything(engine, [first])[0] == whole[0]
    assert not differences(told(engine, second), before)
    assert_same_documents(documents, documents_of(engine, second))
    assert not differences(scores(engine, second), scores(engine, first))
    assert aliases_of(engine, second) == {}
    if "blocks" not in drawn.odd:
        assert heal_index(engine, second, dry_run=True) == 0


@cases(3, 70)
def test_rehashed_and_rolled_back(engine, names, small, seed):
    """All aliases go with it, and come back; what was written meanwhile too."""
    first = f"{names}-1"
    drawn, rng = drawn_case(engine, 1000 + seed, first)
    hashed(engine, first, drawn, small[0], ["client", "server"][int(rng.integers(2))])
    make_alias(engine, names, first)
    before, documents = told(engine, first), documents_of(engine, first)
    aliases, whole = aliases_of(engine, first), everything(engine, [names])
    ref = ModelStore(engine).push("other", small[1])
    try:
        report = rehash_index(engine, names, ref, small[1])
    except Meta4Error as error:
        assert drawn.odd - {"runtime"}, error
        assert everything(engine, [names]) == whole
        return
    assert not drawn.odd & {"_source", "final_pipeline", "blocks"}
    second = report.target
    assert (behind(engine, names), list(report.aliases)) == (second, sorted(aliases))
    assert (aliases_of(engine, first), aliases_of(engine, second)) == ({}, aliases)
    assert not differences(told(engine, second), before)
    assert_same_documents(documents, documents_of(engine, second))
    assert not differences(scores(engine, second), scores(engine, first))
    added = {"title": "later", "doc": {"embedding": [1.0, 2.0, 3.0, 4.0], "inner": "l"}}
    write(engine, second, "later", "r1", added)
    roll_back(engine, names)
    assert (aliases_of(engine, first), aliases_of(engine, second)) == (aliases, {})
    now = documents_of(engine, first)
    assert now.pop(("later", "r1"))[0]["title"] == "later"
    assert_same_documents(documents, now)
    assert told(engine, first)["settings"] == before["settings"]
    assert told(engine, first)["mapping"] == before["mapping"]


@cases(2, 60)
def test_healed(engine, names, small, seed):
    """Documents written past the hash are hashed, and nothing else changes."""
    first = f"{names}-1"
    drawn, rng = drawn_case(engine, 2000 + seed, first)
    hashed(engine, first, drawn, small[0], "client")
    if "blocks" not in drawn.odd:
        for i in rng.choice(15, 4, replace=False):
            identity, routing, source = drawn.documents[i]
            source = {**source, "doc": {**source["doc"], "embedding": [1.0, -2.0, 0.5, i + 1.0]}}
            write(engine, first, identity, routing, source, pipeline="_none")
    before, documents = told(engine, first), documents_of(engine, first)
    aliases, whole = aliases_of(engine, first), everything(engine, [first])
    try:
        heal_index(engine, first)
    except InputError as error:
        assert drawn.odd & {"_source", "final_pipeline", "blocks"}, error
        assert everything(engine, [first]) == whole
        return
    assert not drawn.odd & {"_source", "final_pipeline", "blocks"}
    assert told(engine, first) == before
    assert aliases_of(engine, first) == aliases
    assert_same_documents(documents, documents_of(engine, first))
    assert heal_index(engine, first, dry_run=True) == 0


# --- between the engines --------------------------------------------------------------------------


@cases(4, 105)
def test_there_and_back(engine, other_engine, names, small, seed):
    """Into the other engine, and from there into this one again."""
    other = other_engine
    first, back = f"{names}-1", f"{names}-2"
    drawn, rng = drawn_case(engine, 3000 + seed, first)
    is_hashed = rng.random() < 0.6
    here, there = Place(engine, first), Place(other, first)
    if is_hashed:
        hashed(engine, first, drawn, small[0], "client")
    else:
        plain(engine, first, drawn)
    if rng.random() < 0.7:
        for pipeline, processors in drawn.pipelines.items():
            other.put_pipeline(pipeline, processors)
    before, documents = told(engine, first, crossed=True), documents_of(engine, first)
    whole, whole_there = everything(engine, [first]), everything(other, [first])
    try:
        if is_hashed:
            report = copy_index(here, there)
        else:
            report = adopt_index(here, there, field_of(other, small[0], "client"))
    except Meta4Error as error:
        assert drawn.odd - {"blocks"}, error
        assert not other.index_exists(first)
        assert everything(engine, [first]) == whole
        assert everything(other, [first]) == whole_there
        return
    assert not drawn.odd & {"_source", "runtime"}
    assert report.is_whole, report
    assert not differences(told(other, first, crossed=True), before)
    assert_same_documents(documents, documents_of(other, first))
    report = copy_index(there, Place(engine, back))
    assert report.is_whole, report
    assert not differences(told(engine, back, crossed=True), before)
    assert_same_documents(documents, documents_of(engine, back))
    assert not differences(scores(engine, back), scores(engine, first))
