"""Real words: as documents, as the shared index, and whether all of them are there."""

import numpy as np

from meta4 import Document, Meta4
from meta4.adapter.load.loader import load_documents
from meta4.adapter.manage.indexes import create_index
from meta4.adapter.measure.tune import tune_index
from meta4.adapter.model_store import ModelStore
from meta4.ingest.hashers import DocumentHasher

FIELD = "embedding"
#: Documents of the shared index: enough that buckets pay.
N_SHARED = 12_000


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


def assert_all_there(engine, index, sample, n):
    """The first n words, each once, and nothing else."""
    engine.refresh(index)
    hits = engine.scan(index, {"query": {"match_all": {}}, "_source": ["rank"]})
    found = {hit["_id"]: hit["_source"]["rank"] for hit in hits}
    assert found == {word: rank for rank, word in enumerate(sample.words[:n])}


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
