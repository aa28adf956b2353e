"""DAsH from end to end: what it measures, its networks as ONNX, and its index."""

import json
from itertools import pairwise

import numpy as np
import pytest
from support.command_line import meta4_here
from support.searches import best_of, every_saving_counts, row_documents, search
from support.servers import on_one_engine
from support.specs import CPU
from support.vectors import mixture, unit

from meta4 import HashModel
from meta4.adapter.measure.tune import tune_index
from meta4.errors import InputError
from meta4.models.kinds.dash_report import PLOT_FILE, DashReport
from meta4.models.probing.ranking import class_costs, flip_costs
from meta4.models.specs import DashSpec, ItqSpec
from meta4.models.training.methods.dash import fit_dash
from meta4.models.training.options import TrainingOptions

SPEC = DashSpec(layers=(48,), epochs=4.0, batch=64, n_bits=20, seed=4)
#: For what does not depend on how well it has learned; with few vectors, whose boxes are counted.
BRIEF = SPEC.model_copy(update={"epochs": 0.5, "n_tables": 5, "bits_per_table": 6})
N_CLASSES = 6


@pytest.fixture(scope="module")
def labelled():
    return mixture(n=3000, noise=0.6)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("dash")


@pytest.fixture(scope="module")
def model(labelled, folder):
    x, classes = labelled
    options = TrainingOptions("cpu", folder)
    return HashModel.fit(SPEC, x, labels=classes, options=options)


@pytest.fixture(scope="module")
def few(labelled):
    x, classes = labelled
    return x[:600], classes[:600]


@pytest.fixture(scope="module")
def without_labels(few):
    return HashModel.fit(BRIEF, few[0], options=CPU)


def quietly(_stage, _done, _total):
    pass


def test_what_was_measured_stands_beside_the_model(model, folder):
    report = DashReport.read(folder)
    assert (report.n, report.n_classes, report.of_a_class) == (3000, N_CLASSES, 500)
    assert [one.width for one in report.widths] == [4, 8, 16][: len(report.widths)]
    assert report.width in [one.width for one in report.widths]
    assert report.tables == report.functions * (report.functions - 1) / 2
    assert report.radius < report.scale
    assert model.manifest.buckets_per_document == report.tables
    assert model.n_buckets == N_CLASSES * report.tables * 2**report.functions
    assert (folder / PLOT_FILE).exists()


def test_documents_lie_in_their_class_and_in_each_of_its_tables(model, labelled):
    x, classes = labelled
    buckets = model.buckets(x)
    of_a_class = model.n_buckets // N_CLASSES
    assert (buckets[:, 0] // of_a_class == classes).mean() > 0.95
    of_a_table = of_a_class // buckets.shape[1]
    tables = buckets % of_a_class // of_a_table
    assert (tables == np.arange(buckets.shape[1])).all()


def test_onnx_gives_the_buckets_of_the_arrays(few):
    x, classes = few
    fitted = fit_dash(x, BRIEF, classes, CPU, quietly)
    model = HashModel.fit(BRIEF, x, labels=classes, options=CPU)

    def run(flow, layers):
        for layer in layers:
            flow = flow @ layer.weight.T + layer.bias
            flow = np.maximum(flow, 0.0) if layer.activation == "relu" else flow
        return flow

    some = x[:200]
    centred = unit(unit(some) - fitted.network.mean)
    classes = run(centred, fitted.classifier).argmax(axis=1)
    margins = np.stack([run(centred, layers) for layers in fitted.encoders], axis=1)
    own = margins[np.arange(len(some)), classes]
    defined = (np.abs(own) > 1e-4).all(axis=1)
    bits = (own > 0).reshape(len(some), fitted.n_tables, -1)
    codes = bits @ (1 << np.arange(bits.shape[2])[::-1])
    tables = classes[:, None] * fitted.n_tables + np.arange(fitted.n_tables)
    expected = (tables << fitted.bits_per_table) + codes
    assert defined.mean() > 0.9
    assert (model.buckets(some) == expected)[defined].all()
    assert np.abs(model.margins(some) - run(centred, fitted.network.layers)).max() < 1e-4


def test_the_strongest_classes_come_first():
    rng = np.random.default_rng(0)
    logits, margins = rng.standard_normal(5), rng.standard_normal((5, 12))
    costs = class_costs(logits, margins, 3, 2).reshape(5, -1)
    first = np.argsort(-logits)
    for strong in first[:2]:
        assert costs[strong] == pytest.approx(flip_costs(margins[strong], 3, "margin"), abs=1e-5)
    ends = [(costs[c].min(), costs[c].max()) for c in first]
    assert max(ends[0][1], ends[1][1]) < ends[2][0]
    for stronger, weaker in pairwise(ends[2:]):
        assert stronger[1] < weaker[0]


def test_a_document_is_found_in_its_own_bucket_first(model, labelled):
    x, _ = labelled
    own = model.buckets(x[:50])
    for query, buckets in zip(x[:50], own, strict=True):
        costs = model.bucket_costs(query, "classes")
        assert costs[buckets] == pytest.approx(0.0, abs=1e-6)


def test_without_labels_there_is_one_class(without_labels, few):
    buckets = without_labels.buckets(few[0])
    assert buckets.shape[1] == 5
    assert without_labels.n_buckets % 5 == 0
    counts = np.bincount(buckets[:, 0])
    assert counts.max() < len(buckets) / 2


def test_the_same_seed_gives_the_same_model(few):
    x, classes = few
    one, same = (HashModel.fit(BRIEF, x, labels=classes, options=CPU) for _ in range(2))
    assert (one.buckets(x) == same.buckets(x)).all()


def test_what_cannot_be_is_refused(few):
    x, classes = few
    with pytest.raises(InputError, match="buckets, and 1,048,576 is the most"):
        many = BRIEF.model_copy(update={"n_tables": 100, "bits_per_table": 14})
        HashModel.fit(many, x, labels=classes, options=CPU)
    with pytest.raises(InputError, match="of class '1'"):
        HashModel.fit(BRIEF, x, labels=np.ones(len(x), dtype=int), options=CPU)
    with pytest.raises(InputError, match="learns nothing from labels"):
        HashModel.fit(ItqSpec(), x, labels=classes)


@on_one_engine
def test_a_promise_holds_by_class(engine, make_index, index_name, model, labelled, monkeypatch):
    every_saving_counts(monkeypatch)
    x, _ = labelled
    base, queries = x[:2800], x[2800:]
    make_index(model, hashing="client", docs=row_documents(base))
    tuned = tune_index(engine, index_name, n_queries=100)
    assert tuned.plan == "classes"
    recalls, shares = [], []
    for query in queries[:40]:
        found, explained = search(engine, index_name, query, recall=0.9)
        recalls.append(len(set(found) & set(best_of(base, query))) / 25)
        shares.append(explained["share_looked_into"])
    assert np.mean(recalls) >= 0.9 - 2 * np.std(recalls) / np.sqrt(len(recalls))
    assert np.mean(shares) < 0.7
    exact, _ = search(engine, index_name, queries[0], recall=1.0)
    assert exact == best_of(base, queries[0])


@on_one_engine
def test_plans_and_models_with_classes_belong_together(make_index, model, models):
    with pytest.raises(InputError, match="use plan 'classes'"):
        make_index(model, plan="margin", hashing="client")
    with pytest.raises(InputError, match="only a 'dash' model"):
        make_index(models["itq"], plan="classes")


def test_the_command_explains_what_it_measured(tmp_path, labelled):
    x, classes = labelled
    np.save(tmp_path / "x.npy", x)
    (tmp_path / "classes.txt").write_text("\n".join(map(str, classes)))
    arguments = ["train", tmp_path / "x.npy", "--model", "dash", "--k", 10, "--explain"]
    arguments += ["--layers", 32, "--epochs", 0.5, "--out", tmp_path / "m"]
    labels = ["--labels", tmp_path / "classes.txt"]
    done = meta4_here(*arguments, *labels)
    assert done.returncode == 0, done.stderr
    for words in ("fractal dimension of the sub-space", "scale of 10 neighbours, r", "chosen"):
        assert words in done.stdout
    assert "hash functions of a table, m" in done.stdout
    assert (tmp_path / "m" / PLOT_FILE).exists()
    arguments[-1] = tmp_path / "n"
    told = json.loads(meta4_here(*arguments, "--tables", 3, "--json").stdout)
    assert told["measured"]["tables"] == told["buckets_per_document"] == 3
    assert not told["measured"]["measured"]
    assert told["measured"]["n_classes"] == 1
    refused = meta4_here("train", tmp_path / "x.npy", "--explain", "--out", tmp_path / "o")
    assert refused.returncode == 2
    assert "--model dash" in refused.stderr
