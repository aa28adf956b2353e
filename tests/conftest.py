"""A real node of each engine for the whole session, real words, an index for each test."""

import functools
import hashlib
import os
import shutil
import signal
import tempfile
from contextlib import ExitStack, contextmanager
from pathlib import Path

import numpy as np
import pytest

from meta4 import Document, EmbeddedNode, HashModel, Meta4
from meta4.adapter.engines.connection import connect
from meta4.adapter.engines.node.elasticsearch import ElasticsearchServer
from meta4.adapter.engines.node.opensearch import OpenSearchServer
from meta4.adapter.engines.node.server import free_port
from meta4.adapter.load import bulk_sender as sending
from meta4.adapter.load.loader import load_documents
from meta4.adapter.manage.indexes import create_index
from meta4.adapter.measure.tune import tune_index
from meta4.adapter.model_store import ModelStore
from meta4.demo import load_sample
from meta4.ingest.hashing import DocumentHasher
from meta4.models.specs import CellsSpec, ItqSpec, LshSpec

# Tests read tables; a process of xdist has a terminal's width from the one that started it.
os.environ.pop("COLUMNS", None)
FIELD = "embedding"
# Documents in the order of their file: queries are drawn by it, and so the same in each run.
sending.MOST_AT_ONCE = 1
#: Documents of the shared index: enough that buckets pay.
N_SHARED = 12_000
#: Tests that ask for `engine` or `node` run on both of these.
BOTH = ("opensearch", "elasticsearch")
SERVERS = {
    "opensearch": OpenSearchServer(),
    "elasticsearch": ElasticsearchServer("9.4.3"),
    "elasticsearch 8": ElasticsearchServer("8.19.13"),
    "elasticsearch bare": ElasticsearchServer("9.2.0"),
}
KINDS = ("lsh", "itq", "cells")
SPECS = {
    "lsh": LshSpec(n_bits=96, bits_per_table=6, n_tables=2, seed=3),
    "itq": ItqSpec(n_bits=136, bits_per_table=7, seed=3, iterations=10),
    "cells": CellsSpec(n_bits=72, n_buckets=128, seed=3, iterations=5),
}


@pytest.fixture(scope="session")
def sample():
    return load_sample()


@pytest.fixture(scope="session")
def vectors(sample):
    return sample.vectors


@pytest.fixture(scope="session")
def models(vectors):
    """One small model of each kind, fitted on real words."""
    return {kind: HashModel.fit(spec, vectors[:4000]) for kind, spec in SPECS.items()}


@pytest.fixture(params=KINDS)
def model(request, models):
    return models[request.param]


@contextmanager
def running(server):
    """A real server, started by the project itself."""
    # Not pytest's own folder: that is closed to the unprivileged user that root starts it as.
    folder = Path(tempfile.mkdtemp(prefix="meta4-tests-"))
    folder.chmod(0o755)
    node = EmbeddedNode(
        server, data=folder / "node", heap_mb=1024, port=free_port(0), quick_start=True
    )
    try:
        node.start()
        yield node
    finally:
        node.stop()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.hookimpl(tryfirst=True)  # before xdist reads the marks
def pytest_collection_modifyitems(items):
    """Two processes run the tests, the servers of one engine in each; other files as they come."""
    for item in items:
        given = getattr(item, "callspec", None)
        server = given.params.get("node") if given else None
        item.add_marker(pytest.mark.xdist_group(server or item.path.stem))


@pytest.fixture(scope="session")
def nodes():
    """All servers, each started when a test first asks for it: `nodes("opensearch")`."""
    with ExitStack() as stack:

        @functools.cache
        def get(name):
            return stack.enter_context(running(SERVERS[name]))

        yield get


#: For a test of what no engine has a part in: plans, promises, training.
on_one_engine = pytest.mark.parametrize("node", BOTH[:1], indirect=True)


@pytest.fixture(scope="session", params=BOTH)
def node(request, nodes):
    return nodes(request.param)


@pytest.fixture(scope="session")
def engine(node):
    engine = connect(node.url)
    yield engine
    engine.close()


@pytest.fixture
def index_name(request):
    """A name that no other test has."""
    digest = hashlib.sha256(f"{request.node.nodeid}-{os.getpid()}".encode()).hexdigest()
    return f"test-{digest[:16]}"


@pytest.fixture
def make_index(engine, index_name):
    """Create (and afterwards drop) an index; gives (spec, model) back."""
    made = []

    def make(model, *, name=index_name, docs=None, **options):
        ref = ModelStore(engine).push(f"{model.manifest.kind}-tests", model)
        spec = create_index(engine, name, field=FIELD, ref=ref, model=model, **options)
        made.append(name)
        if docs is not None:
            hasher = DocumentHasher(model, spec) if spec.hashing == "client" else None
            report = load_documents(engine, name, docs, hasher)
            assert not report.refusals, report.refusals[:3]
            engine.refresh(name)
        return spec

    yield make
    for name in made:
        engine.delete_index(name)
        engine.delete_pipeline(f"meta4-{name}")


def hear_interrupts():
    """What a shell starts in the background ignores SIGINT, and so would its children."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def word_documents(sample, rows):
    """Words as documents with a filterable number and colour."""
    colours = ("red", "green", "blue", "grey")
    for row in rows:
        yield Document(
            sample.words[row],
            {
                FIELD: sample.vectors[row].tolist(),
                "rank": int(row),
                "colour": colours[row % 4],
                "tenth": int(row) % 10,
            },
        )


class Words:
    """The shared, tuned, read-only index: the first N_SHARED words."""

    index = "words-shared"

    def __init__(self, engine, sample, model):
        ref = ModelStore(engine).push("words", model)
        self.spec = create_index(
            engine, self.index, field=FIELD, ref=ref, model=model, hashing="client"
        )
        self.model = model
        self.words = sample.words[:N_SHARED]
        self.vectors = sample.vectors[:N_SHARED]
        self.held_out = sample.vectors[N_SHARED : N_SHARED + 300]
        documents = word_documents(sample, range(N_SHARED))
        report = load_documents(engine, self.index, documents, DocumentHasher(model, self.spec))
        assert report.n_indexed == N_SHARED
        self.calibration = tune_index(engine, self.index, n_queries=300)
        self.meta4 = Meta4(engine)

    def scores(self, query, keep=None):
        """(1 + cosine) / 2 of every word, by NumPy; -1 where `keep` is False."""
        unit = self.vectors / np.linalg.norm(self.vectors, axis=1, keepdims=True)
        scores = (1 + unit @ (query / np.linalg.norm(query))) / 2
        return scores if keep is None else np.where(keep, scores, -1.0)


@pytest.fixture(scope="session")
def words_model(sample):
    spec = CellsSpec(n_bits=64, n_buckets=256, iterations=6)
    return HashModel.fit(spec, sample.vectors[:N_SHARED])


@pytest.fixture(scope="session")
def words(engine, sample, words_model):
    return Words(engine, sample, words_model)
