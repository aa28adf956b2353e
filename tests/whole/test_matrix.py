"""The documents' table of what works where: each of its cells, on the server that it names."""

import numpy as np
import pytest
from support import ROOT
from support.servers import SERVERS
from support.words import FIELD, word_documents

from meta4 import DocumentHasher, Meta4
from meta4.adapter.engines.connection import connect
from meta4.adapter.engines.place import Place
from meta4.adapter.load.loader import load_documents
from meta4.adapter.manage.heal import heal_index
from meta4.adapter.manage.indexes import create_index, show_index
from meta4.adapter.measure.evaluation import evaluate_index
from meta4.adapter.measure.tune import tune_index
from meta4.adapter.model_store import ModelStore
from meta4.adapter.move.copy import copy_index
from meta4.errors import RefusedError

pytestmark = pytest.mark.server
DOCUMENT = ROOT / "docs" / "how-it-works.md"
#: Of the index that is asked: with `queen`; and of those that are made for a cell.
N, FEW = 2000, 1000
#: What a server says that cannot.
REFUSALS = r"runs no scripts.*--strategy native with --hashing client|use strategy native, and 3cos"


class Served:
    """A server with an index that works on all: `native`, hashed by the client, tuned."""

    def __init__(self, node, model, sample):
        self.engine = connect(node.url)
        self.model, self.sample = model, sample
        self.index = "matrix"
        self.ref = ModelStore(self.engine).push("matrix", model)
        self.fill(self.index, n=N)
        tune_index(self.engine, self.index, n_queries=100)
        self.meta4 = Meta4(self.engine)

    def fill(self, index, strategy="native", hashing="client", n=FEW):
        """An index of words; what the model hashed is hashed by whom it says."""
        spec = create_index(
            self.engine, index, field=FIELD, ref=self.ref, model=self.model,
            strategy=strategy, hashing=hashing,
        )  # fmt: skip
        hasher = DocumentHasher(self.model, spec) if hashing == "client" else None
        report = load_documents(self.engine, index, word_documents(self.sample, range(n)), hasher)
        assert report.n_indexed == n
        self.engine.refresh(index)

    def check_exact(self, index, conditions=(), keep=slice(FEW)):
        """With all buckets the scores are those of NumPy."""
        meta4 = Meta4(self.engine)
        vectors = self.sample.vectors[:N][keep]
        unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
        for query in self.sample.vectors[N : N + 10]:
            clause = {"vector": query.tolist(), "k": 10, "recall": 1.0}
            similar = {"meta4_similar": {FIELD: clause}}
            body = {"query": {"bool": {"must": [similar], "filter": list(conditions)}}}
            hits = meta4.search(index=index, body=body)["hits"]["hits"]
            truth = np.sort((1 + unit @ (query / np.linalg.norm(query))) / 2)[::-1][:10]
            assert np.allclose([hit["_score"] for hit in hits], truth, atol=1e-5)

    def ask(self, method):
        """The word2vec paper's question."""
        operands = {
            x: {"id": word} for x, word in zip("abc", ("man", "king", "woman"), strict=True)
        }
        clause = {**operands, "k": 1, "method": method}
        body = {"query": {"meta4_analogy": {FIELD: clause}}}
        (hit,) = self.meta4.search(index=self.index, body=body)["hits"]["hits"]
        return hit["_id"]


def check_strategy(strategy):
    def check(served, name):
        served.fill(name, strategy=strategy)
        served.check_exact(name)

    return check


def check_pipeline(served, name):
    served.fill(name, hashing="server")
    served.check_exact(name)
    assert show_index(served.engine, name)["strays"] == 0


def check_client_hashing(served, name):
    served.fill(name)
    assert show_index(served.engine, name)["strays"] == 0


def check_filters(served, name):
    condition = {"term": {"tenth": 3}}
    served.check_exact(served.index, [condition], np.arange(N) % 10 == 3)


def check_analogy(method):
    def check(served, name):
        assert served.ask(method) == "queen"

    return check


def check_promise(served, name):
    result = evaluate_index(served.meta4, served.index, n_queries=50, k=10, recall=0.95)
    assert result.recall_at_k >= 0.93
    body = {"query": {"meta4_similar": {FIELD: {"id": "king", "k": 10, "recall": 0.9}}}}
    (explained,) = served.meta4.explain(index=served.index, body=body)["clauses"]
    assert explained["recall_promised"] >= 0.9
    assert show_index(served.engine, served.index)["tuned"]


def check_healing(served, name):
    served.fill(name)
    stray = {FIELD: served.sample.vectors[9].tolist()}
    served.engine.request("PUT", f"/{name}/_doc/new", body=stray, params={"pipeline": "_none"})
    served.engine.refresh(name)
    assert show_index(served.engine, name)["strays"] == 1
    assert heal_index(served.engine, name) == 1
    served.engine.refresh(name)
    assert show_index(served.engine, name)["strays"] == 0


def check_models(served, name):
    store = ModelStore(served.engine)
    ref, model = store.pull(str(served.ref))
    query = served.sample.vectors[:50]
    assert ref == served.ref
    assert np.array_equal(model.encode(query), served.model.encode(query))


def check_copy(served, name):
    report = copy_index(Place(served.engine, served.index), Place(served.engine, name))
    assert report.is_whole
    assert report.n_hashed == 0
    served.check_exact(name, keep=slice(N))


CHECKS = {
    "strategy `native`": check_strategy("native"),
    "strategy `script`": check_strategy("script"),
    "strategy `hamming`": check_strategy("hamming"),
    "hashing by the server's pipeline": check_pipeline,
    "hashing by the client": check_client_hashing,
    "any filter, at recall 1": check_filters,
    "analogies by 3CosAdd": check_analogy("3cosadd"),
    "analogies by 3CosMul": check_analogy("3cosmul"),
    "`index tune`, `eval`, `explain`": check_promise,
    "`index heal`": check_healing,
    "models in the cluster": check_models,
    "`copy`, from and to": check_copy,
}


def cells():
    """(row, server, word) of each cell of the document's table."""
    _, _, rest = DOCUMENT.read_text(encoding="utf-8").partition("<!-- matrix -->\n")
    table, _, _ = rest.partition("\n<!-- /matrix -->")
    head, _, *rows = (
        [cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()
    )
    servers = {server.name: name for name, server in SERVERS.items()}
    for row in rows:
        for server, cell in zip(head[1:], row[1:], strict=True):
            yield pytest.param(row[0], servers[server], cell, id=f"{row[0]}-{servers[server]}")


@pytest.fixture(scope="module")
def served(nodes, models, sample):
    """The servers as they are first asked for: `served("opensearch")`."""
    found = {}

    def get(name):
        if name not in found:
            found[name] = Served(nodes(name), models["cells"], sample)
        return found[name]

    yield get
    for one in found.values():
        one.engine.delete_index(one.index)
        one.engine.close()


def test_the_table_has_all_rows():
    assert {cell.values[:2] for cell in cells()} == {
        (row, name) for row in CHECKS for name in SERVERS
    }


@pytest.mark.parametrize(("row", "server", "word"), list(cells()))
def test_a_cell(served, index_name, row, server, word):
    one = served(server)
    try:
        if word == "yes":
            CHECKS[row](one, index_name)
        else:
            assert word == "no"
            with pytest.raises(RefusedError, match=REFUSALS):
                CHECKS[row](one, index_name)
            assert not one.engine.index_exists(index_name)
    finally:
        one.engine.delete_index(index_name)
        one.engine.delete_pipeline(f"meta4-{index_name}")
