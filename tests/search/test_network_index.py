"""Indexes whose documents a network hashes."""

import numpy as np
import pytest
from support.searches import best_of, every_saving_counts, row_documents, search
from support.servers import on_one_engine
from support.specs import CPU
from support.vectors import mixture
from support.words import FIELD

from meta4 import HashModel
from meta4.adapter.manage.heal import heal_index
from meta4.adapter.measure.tune import tune_index
from meta4.errors import InputError
from meta4.models.probing.calibration import Calibration
from meta4.models.specs import DtshSpec, LearnedSpec, NpHashSpec


@pytest.fixture(scope="module")
def clustered():
    return mixture(n=3000)


@pytest.fixture(scope="module")
def networks(clustered):
    x, classes = clustered
    dtsh = DtshSpec(n_bits=4, layers=(32,), epochs=6.0)
    nphash = NpHashSpec(
        n_bits=70, layers=(32,), n_buckets=32, iterations=3, batch=128, n_proxies=500, k=20
    )
    return {
        "dtsh": HashModel.fit(dtsh, x, labels=classes, options=CPU),
        "nphash": HashModel.fit(nphash, x, options=CPU),
    }


def test_the_code_is_the_bucket_and_algorithm_1_finds_it(
    engine, make_index, index_name, networks, clustered
):
    x, _ = clustered
    model = networks["dtsh"]
    make_index(model, plan="bitwise", hashing="client", docs=row_documents(x))
    for query in x[:10] * 1.01:
        ids, explained = search(engine, index_name, query)
        assert explained["reason"].startswith("Algorithm 1")
        assert explained["docs_looked_into"] < len(x)
        own = model.buckets(query[None])[0, 0]
        members = np.flatnonzero(model.buckets(x)[:, 0] == own)
        if len(members) >= 25:  # its own bucket is enough, so nothing else is looked into
            inside = best_of(x[members], query)
            assert ids == [str(members[int(row)]) for row in inside]


@pytest.mark.parametrize("kind", ["dtsh", "nphash"])
def test_a_promise_holds_with_a_network(engine, make_index, index_name, networks, clustered, kind):
    x, _ = clustered
    make_index(networks[kind], hashing="client", docs=row_documents(x))
    plan = "margin" if kind == "dtsh" else "centroid"
    tune_index(engine, index_name, plan=plan, n_queries=200)
    found = []
    for query in mixture(n=3100)[0][3000:]:
        ids, _ = search(engine, index_name, query, recall=0.95)
        found.append(len(set(ids) & set(best_of(x, query))) / 25)
    assert np.mean(found) >= 0.95 - 2 * np.std(found) / np.sqrt(len(found))


@pytest.fixture(scope="module")
def learned(sample):
    """Words held out, words to index, and a model of the latter."""
    # Rarer words lie elsewhere: only queries like the documents have the documents' promise.
    held_out, base = np.split(np.random.default_rng(0).permutation(sample.vectors[:8100]), [100])
    spec = LearnedSpec(n_buckets=64, layers=(64,), epochs=12.0, batch=256, iterations=5)
    return held_out, base, HashModel.fit(spec, base, options=CPU)


@on_one_engine
def test_a_learned_model_promises_looks_into_less_and_hashes_on_the_server(
    engine, make_index, index_name, learned, monkeypatch
):
    """Its documents' hash is that of cells; only a query asks the network."""
    held_out, base, model = learned
    made = make_index(model, hashing="server", docs=row_documents(base))
    assert made.plan == "learned"
    looked_into = {}
    for plan in ("centroid", "learned"):
        tuned = tune_index(engine, index_name, plan=plan, n_queries=400)
        assert isinstance(tuned, Calibration) == (plan == "learned")
        found, seen = [], []
        for query in held_out:
            ids, explained = search(engine, index_name, query, recall=0.95)
            found.append(len(set(ids) & set(best_of(base, query))) / 25)
            seen.append(explained["docs_looked_into"])
        assert np.mean(found) >= 0.95 - 2 * np.std(found) / np.sqrt(len(found))
        looked_into[plan] = np.mean(seen)
    assert looked_into["learned"] < looked_into["centroid"]

    every_saving_counts(monkeypatch)
    for within, rows in (
        ({"terms": {"tenth": [1, 4, 7]}}, np.isin(np.arange(len(base)) % 10, [1, 4, 7])),
        ({"term": {"tenth": 3}}, slice(3, None, 10)),
    ):
        found = []
        for query in held_out:
            ids, explained = search(engine, index_name, query, [within], recall=0.95)
            assert len(ids) == 25
            found.append(len(set(ids) & set(best_of(base, query, rows=rows))) / 25)
        assert np.mean(found) >= 0.95 - 2 * np.std(found) / np.sqrt(len(found))


@pytest.mark.parametrize("kind", ["dtsh", "nphash"])
def test_no_pipeline_runs_a_network(make_index, networks, kind):
    with pytest.raises(InputError, match="--hashing client"):
        make_index(networks[kind])


def test_documents_whose_vector_changed_are_healed(
    engine, make_index, index_name, networks, clustered
):
    x, _ = clustered
    make_index(networks["nphash"], hashing="client", docs=row_documents(x[:300]))
    assert heal_index(engine, index_name, dry_run=True) == 0
    for row in (3, 7):
        body = {"doc": {FIELD: (-x[row]).tolist()}}
        engine.request("POST", f"/{index_name}/_update/{row}", body=body)
    engine.request("POST", f"/{index_name}/_doc/new", body={FIELD: x[400].tolist()})
    assert heal_index(engine, index_name, dry_run=True) == 3
    assert heal_index(engine, index_name) == 3
    assert heal_index(engine, index_name, dry_run=True) == 0
