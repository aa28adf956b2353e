"""A real node of each engine for the whole session, real words, an index for each test."""

import functools
import hashlib
import os
from contextlib import ExitStack

# Before NumPy and torch are imported: two processes and their servers share the cores, and threads
# that wait for each other's small sums would spin on them.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import pytest
from support.servers import BOTH, SERVERS, running
from support.specs import SPECS
from support.texts import TEXTS, create_text_index, stdlib_texts, text_documents
from support.words import FIELD, N_SHARED, Words

from meta4 import HashModel
from meta4.adapter.engines.connection import connect
from meta4.adapter.load import bulk_sender as sending
from meta4.adapter.load.loader import load_documents
from meta4.adapter.manage.indexes import create_index
from meta4.adapter.model_store import ModelStore
from meta4.demo import load_sample
from meta4.ingest.hashers import DocumentHasher
from meta4.ingest.text_hasher import TextHasher
from meta4.models.specs import CellsSpec

#: Files that take long and belong to no engine: begun early, so that no process is left alone with
#: one of them at the end.
LONG = (
    "test_cluster", "test_permissions", "test_matrix", "test_node", "test_copying",
    "test_training", "test_dash",
)  # fmt: skip

# Tests read tables; a process of xdist has a terminal's width from the one that started it.
os.environ.pop("COLUMNS", None)
# Documents in the order of their file: queries are drawn by it, and so the same in each run.
sending.MOST_AT_ONCE = 1


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


@pytest.hookimpl(tryfirst=True)  # before xdist reads the marks
def pytest_collection_modifyitems(items):
    """Two processes run the tests, the servers of one engine in each; other files as they come."""
    begun = [*BOTH, *LONG]
    places = {}
    for item in items:
        given = getattr(item, "callspec", None)
        group = (given.params.get("node") if given else None) or item.path.stem
        item.add_marker(pytest.mark.xdist_group(group))
        places[item] = begun.index(group) if group in begun else len(begun)
    items.sort(key=places.__getitem__)


@pytest.fixture(scope="session")
def nodes():
    """All servers, each started when a test first asks for it: `nodes("opensearch")`."""
    with ExitStack() as stack:

        @functools.cache
        def get(name):
            return stack.enter_context(running(SERVERS[name]))

        yield get


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


@pytest.fixture(scope="session")
def words_model(sample):
    spec = CellsSpec(n_bits=64, n_buckets=256, iterations=6)
    return HashModel.fit(spec, sample.vectors[:N_SHARED])


@pytest.fixture(scope="session")
def words(engine, sample, words_model):
    return Words(engine, sample, words_model)


@pytest.fixture(scope="session")
def originals():
    found = stdlib_texts()[:300]
    assert len(found) > 150
    return found


@pytest.fixture(scope="session")
def texts(originals):
    """Texts, and for every third one a near-duplicate: its end is another."""
    return originals + [f"{text[:-40]} and so on." for text in originals[::3]]


@pytest.fixture
def text_index(engine, index_name, texts):
    create_text_index(engine, index_name, TEXTS)
    report = load_documents(engine, index_name, text_documents(texts), TextHasher(TEXTS))
    assert report.n_indexed == len(texts)
    engine.refresh(index_name)
    yield index_name
    engine.delete_index(index_name)
