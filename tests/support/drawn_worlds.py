"""Indexes by chance, with all that makes answers differ, and what they must be answered with."""

import numpy as np

from meta4 import Document, Meta4
from meta4.adapter.engines.opensearch import OpenSearchEngine
from meta4.adapter.load.loader import load_documents
from meta4.adapter.measure.tune import tune_index
from meta4.mappings.dialect import merged

from .drawn_fields import TEXTS, VECTORS

#: Of vectors and texts; with two, each clause asks one of them.
FIELDS = (VECTORS, TEXTS)
WORDS = ("berlin", "paris", "rome", "oslo", "bern", "wien")
GROUPS = ("a", "b", "c", "d", "e")
MAPPING = {
    "properties": {
        "text": {"type": "text"},
        "group": {"type": "keyword"},
        "n": {"type": "integer"},
        "parts": {"type": "nested", "properties": {"size": {"type": "integer"}}},
    }
}
#: What float32 cannot tell apart.
LEVEL = 2e-6


class World:
    """Indexes of one or two hashed fields behind a name, with all that makes answers differ.

    Several segments, deleted and overwritten documents, equal vectors, documents without one, by
    a routing of their own, of another model; of two indexes some ids are in both.
    """

    def __init__(self, engine, base, *, strategy, layout, seed, fields=(VECTORS,)):
        self.engine, self.rng = engine, np.random.default_rng(seed)
        self.fields = fields
        self.is_opensearch = isinstance(engine, OpenSearchEngine)
        # Where a query by a script matches nothing in an index, engines leave out what stands
        # beside it there, names and all.
        self.tells_all = layout != "two indexes" or (strategy == "native" and fields == (VECTORS,))
        self.names = [f"{base}-1", f"{base}-2"] if layout == "two indexes" else [f"{base}-1"]
        shards = 3 if layout == "three shards" else 1
        for name in self.names:
            self._fill(name, strategy, shards)
        self.name = self.names[0]
        if layout == "two indexes":
            self.name = self._alias(f"{base}-all", {})
        if layout == "filtered alias":
            self.name = self._alias(f"{base}-part", {"filter": {"terms": {"group": ["a", "b"]}}})
        if layout == "routed alias":
            self.name = self._alias(f"{base}-routed", {"search_routing": "r1,r2"})
        self._read()

    def drop(self):
        for name in self.names:
            self.engine.delete_index(name)

    def _alias(self, alias, options):
        actions = [{"add": {"index": name, "alias": alias, **options}} for name in self.names]
        self.engine.request("POST", "/_aliases", {"actions": actions})
        return alias

    def _fill(self, index, strategy, shards):
        engine, rng = self.engine, self.rng
        engine.delete_index(index)
        made = [field.new(engine, strategy) for field in self.fields]
        bodies = [one.index_body(shards=shards, replicas=0, pipeline=None) for one in made]
        engine.create_index(index, merged(*bodies) if len(bodies) > 1 else bodies[0])
        engine.request("PUT", f"/{index}/_mapping", MAPPING)
        hasher = engine.run(Meta4(engine).core.hasher(index))
        few = {field: [field.draw(rng) for _ in range(40)] for field in self.fields}
        for start in range(0, 320, 80):  # a segment each
            documents, tied = [], set[str]()
            for i in range(start, start + 80):
                source = {
                    "text": " ".join(rng.choice(WORDS, 3)),
                    "group": str(rng.choice(GROUPS)),
                    "parts": [{"size": int(size)} for size in rng.integers(0, 5, 2)],
                }
                if rng.random() < 0.9:
                    source["n"] = int(rng.integers(0, 1000))
                for field in self.fields:
                    chance = rng.random()
                    if chance < 0.3:  # as one of a few: they tie
                        like = few[field][rng.integers(40)]
                        field.put(source, field.draw(rng, like))
                        tied.add(f"d{i}")
                    elif chance < 0.95:
                        field.put(source, field.draw(rng))
                routing = None if rng.random() < 0.6 else f"r{rng.integers(4)}"
                documents.append(Document(f"d{i}", source, routing=routing))
            # A vector that is not scaled ties with one that is but for float32's last digit.
            may_tie = engine.dialect.normalises
            strays = [d for d in documents if rng.random() < 0.04 and (may_tie or d.id not in tied)]
            hashed = [d for d in documents if d not in strays]
            for some, by in ((hashed, hasher), (strays, None)):
                assert not load_documents(engine, index, some, by).refusals
            engine.refresh(index)
        gone, changed = [], []
        for i in rng.choice(320, 120, replace=False):
            if rng.random() < 0.5:
                gone.append(f"d{i}")
                continue
            source = {"n": int(i), "group": "a", "text": "berlin"}
            for field in self.fields:
                field.put(source, field.draw(rng))
            changed.append(Document(f"d{i}", source, routing="r9"))  # where it was, it stays too
        query = {"query": {"ids": {"values": gone}}}
        engine.request("POST", f"/{index}/_delete_by_query", query)
        assert not load_documents(engine, index, changed, hasher).refusals
        engine.refresh(index)
        if VECTORS in self.fields:
            tune_index(engine, index, field=VECTORS.name, n_queries=60)

    def _read(self):
        """Every document that can be an answer, by (index, id, routing): values and place."""
        self.values = {field: {} for field in self.fields}
        self.places = {}
        for index in self.names:
            body = {"size": 1000, "seq_no_primary_term": True, "explain": True}
            params = self.engine.vectors_in_source()
            for hit in self.engine.search(index, body, params)["hits"]["hits"]:
                key = key_of(hit)
                self.places[key] = (hit["_seq_no"], hit["_shard"])
                for field in self.fields:
                    value = field.read(hit["_source"])
                    if value is not None:
                        self.values[field][key] = value
        self._name_some()

    def _name_some(self):
        """By field, documents that a clause may name: seen from here, and one only of an id."""
        seen = self.engine.search(self.name, {"size": 2000, "_source": False})["hits"]["hits"]
        keys = list(map(key_of, seen))
        everywhere = [identity for _, identity, _ in self.places]
        self.named = {
            field: [key for key in keys if key in values and everywhere.count(key[1]) == 1]
            for field, values in self.values.items()
        }

    def kept(self, asked):
        """Documents that plain filters let through, asked of the engine, and not named."""
        query = {"bool": {"filter": asked.filters, "must_not": asked.exclusions}}
        body = {"size": 2000, "query": query, "_source": False, **asked.defined}
        hits = self.engine.search(self.name, body)["hits"]["hits"]
        values = self.values[asked.field]
        keys = [key for key in map(key_of, hits) if key in values]
        return [key for key in keys if key[1] not in asked.ids]

    def nearest(self, asked, keys):
        """The k of them that a clause means, nearest first; None where float32 cannot tell."""
        if not keys:
            return []
        values = self.values[asked.field]
        scores = asked.field.scores(asked.meant, [values[key] for key in keys])
        scores = np.round(scores, 9)  # equal vectors, equal scores
        order = sorted(range(len(keys)), key=lambda i: (-scores[i], self.places[keys[i]]))
        k = asked.clause["k"]
        if k < len(order):
            gap = scores[order[k - 1]] - scores[order[k]]
            if 0 < gap < LEVEL * max(1.0, scores[order[0]]):
                return None
        return [keys[i] for i in order[:k]]


def key_of(hit):
    return hit["_index"], hit["_id"], hit.get("_routing")
