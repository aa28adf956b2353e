"""Search bodies by chance, and what they must be answered with: the k nearest by NumPy."""

import copy
import json

import numpy as np

from meta4 import Document, HashModel
from meta4.adapter.load.loader import load_documents
from meta4.adapter.manage.indexes import create_index
from meta4.adapter.measure.tune import tune_index
from meta4.adapter.model_store import ModelStore
from meta4.adapter.search.rewriter import SORT
from meta4.ingest.hashers import DocumentHasher
from meta4.models.specs import CellsSpec

from .vectors import unit

FIELD, DIMS = "v", 8
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


def small_model():
    rng = np.random.default_rng(7)
    spec = CellsSpec(n_bits=32, n_buckets=16, seed=1, iterations=3)
    return HashModel.fit(spec, rng.standard_normal((800, DIMS)).astype(np.float32))


class World:
    """Indexes of one field behind a name, with all that makes answers differ.

    Several segments, deleted and overwritten documents, equal vectors, documents without one, by
    a routing of their own, of another model; of two indexes some ids are in both.
    """

    def __init__(self, engine, base, model, *, strategy, layout, seed):
        self.engine, self.rng = engine, np.random.default_rng(seed)
        self.names = [f"{base}-1", f"{base}-2"] if layout == "two indexes" else [f"{base}-1"]
        shards = 3 if layout == "three shards" else 1
        for name in self.names:
            self._fill(name, model, strategy, shards)
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

    def _fill(self, index, model, strategy, shards):
        engine, rng = self.engine, self.rng
        ref = ModelStore(engine).push("differential", model)
        engine.delete_index(index)
        spec = create_index(
            engine,
            index,
            field=FIELD,
            ref=ref,
            model=model,
            strategy=strategy,
            hashing="client",
            shards=shards,
        )
        engine.request("PUT", f"/{index}/_mapping", MAPPING)
        vectors = rng.standard_normal((40, DIMS)).astype(np.float32)
        for start in range(0, 320, 80):  # a segment each
            documents = []
            for i in range(start, start + 80):
                source = {
                    "text": " ".join(rng.choice(WORDS, 3)),
                    "group": str(rng.choice(GROUPS)),
                    "n": int(rng.integers(0, 1000)),
                    "parts": [{"size": int(size)} for size in rng.integers(0, 5, 2)],
                }
                chance = rng.random()
                if chance < 0.3:  # as one of a few: they tie
                    source[FIELD] = vectors[rng.integers(len(vectors))].tolist()
                elif chance < 0.95:
                    source[FIELD] = rng.standard_normal(DIMS).astype(np.float32).tolist()
                routing = None if rng.random() < 0.6 else f"r{rng.integers(4)}"
                documents.append(Document(f"d{i}", source, routing=routing))
            strays = [d for d in documents if rng.random() < 0.04]
            hashed = [d for d in documents if d not in strays]
            for some, hasher in ((hashed, DocumentHasher(model, spec)), (strays, None)):
                assert not load_documents(engine, index, some, hasher).refusals
            engine.refresh(index)
        for i in rng.choice(320, 120, replace=False):
            query = {"query": {"ids": {"values": [f"d{i}"]}}}
            if rng.random() < 0.5:
                engine.request("POST", f"/{index}/_delete_by_query", query)
            else:
                vector = rng.standard_normal(DIMS).astype(np.float32).tolist()
                source = {FIELD: vector, "n": int(i), "group": "a", "text": "berlin"}
                document = Document(f"d{i}", source, routing="r9")  # where it was, it stays too
                load_documents(engine, index, [document], DocumentHasher(model, spec))
        engine.refresh(index)
        tune_index(engine, index, n_queries=60)

    def _read(self):
        """Every document that has a vector, by (index, id, routing): vector and place."""
        self.vectors, self.places = {}, {}
        for index in self.names:
            body = {"size": 1000, "seq_no_primary_term": True, "explain": True}
            params = self.engine.vectors_in_source()
            for hit in self.engine.search(index, body, params)["hits"]["hits"]:
                if hit["_source"].get(FIELD) is not None:
                    key = key_of(hit)
                    self.vectors[key] = np.asarray(hit["_source"][FIELD], dtype=np.float64)
                    self.places[key] = (hit["_seq_no"], hit["_shard"])

    def kept(self, filters, exclusions):
        """Documents with a vector that plain filters let through, asked of the engine."""
        query = {"bool": {"filter": filters, "must_not": exclusions}}
        body = {"size": 2000, "query": query, "_source": False}
        hits = self.engine.search(self.name, body)["hits"]["hits"]
        return [key for key in map(key_of, hits) if key in self.vectors]

    def nearest(self, clause, keys):
        """The k of them that a clause means, nearest first; None where float32 cannot tell."""
        if not keys:
            return []
        rows = unit(np.stack([self.vectors[key] for key in keys]))
        scores = (1 + rows @ self.target(clause)) / 2
        method = clause.get("method")
        if method == "3cosmul":
            a, b, c = ((1 + rows @ self.vector(clause[x])) / 2 for x in "abc")
            scores = b * c / (a + 0.001)
        scores = np.round(scores, 9)  # equal vectors, equal scores
        order = sorted(range(len(keys)), key=lambda i: (-scores[i], self.places[keys[i]]))
        k = clause["k"]
        if k < len(order):
            gap = scores[order[k - 1]] - scores[order[k]]
            if 0 < gap < LEVEL * max(1.0, scores[order[0]]):
                return None
        return [keys[i] for i in order[:k]]

    def vector(self, operand):
        return operand["vector"] / np.linalg.norm(operand["vector"])

    def target(self, clause):
        if "a" not in clause:
            return self.vector(clause)
        a, b, c = (self.vector(clause[x]) for x in "abc")
        target = b - a + c
        return target / np.linalg.norm(target)


def key_of(hit):
    return hit["_index"], hit["_id"], hit.get("_routing")


class Case:
    """A body, its clauses, and what stands around each of them."""

    def __init__(self, world, rng, recall):
        self.world, self.rng, self.recall = world, rng, recall
        self.clauses = []  # (key of its place, clause, filters, exclusions)
        self.body = {"query": self._query([], [], 0)}
        self._add_rest()

    def chance(self, share):
        return self.rng.random() < share

    def one_of(self, *these):
        return these[self.rng.integers(len(these))]

    # The query.

    def _query(self, filters, exclusions, depth):
        if depth > 2 or self.chance(0.25):
            return self._clause(filters, exclusions)
        return self.one_of(
            self._bool,
            self._bool,
            self._bool,
            self._constant,
            self._function,
            self._dis_max,
            self._boosting,
        )(filters, exclusions, depth + 1)

    def _clause(self, filters, exclusions):
        rng, vectors = self.rng, list(self.world.vectors.values())

        def operand():
            if self.chance(0.3):  # as a document has it
                return {"vector": vectors[rng.integers(len(vectors))].tolist()}
            return {"vector": rng.standard_normal(DIMS).tolist()}

        k = int(self.one_of(1, 3, 10, 25, 60, 500))
        name, clause = "meta4_similar", {**operand(), "k": k, "recall": self.recall}
        if self.chance(0.15):
            name, clause = "meta4_analogy", {x: operand() for x in "abc"}
            clause |= {"k": k, "recall": self.recall, "method": self.one_of("3cosadd", "3cosmul")}
        if self.chance(0.1):
            clause["boost"] = float(self.one_of(0.5, 3.0))
        if self.chance(0.1):
            clause["_name"] = f"clause {len(self.clauses)}"
        placed = {name: {FIELD: clause}}
        self.clauses.append((placed, clause, filters, exclusions))
        return placed

    def _plain(self):
        query = self.one_of(
            {"terms": {"group": ["a", "c", "e"]}},
            {"term": {"group": "b"}},
            {"range": {"n": {"gte": int(self.rng.integers(0, 900))}}},
            {"match": {"text": {"query": self.one_of(*WORDS)}}},
            {"exists": {"field": "parts.size"}},
            {"match_all": {}},
            {"nested": {"path": "parts", "query": {"term": {"parts.size": 3}}}},
        )
        query = copy.deepcopy(query)
        if self.chance(0.1) and "nested" in query:
            query["nested"]["inner_hits"] = {"name": f"i{self.rng.integers(10**9)}"}
        if self.chance(0.1) and "match_all" in query:
            query["match_all"]["_name"] = "everything"
        return query

    def _some(self, share):
        return [self._plain() for _ in range(int(self.chance(share)) + int(self.chance(share / 3)))]

    def _bool(self, filters, exclusions, depth):
        own, without = self._some(0.5), self._some(0.2)
        place = self.one_of("must", "must", "filter", "should")
        beside = self._some(0.3) if place == "must" else []
        query = {"filter": own, "must_not": without, "must": beside}
        if place == "filter" and self.chance(0.5):
            query["must"] = [{"match_all": {}}]
        inner_filters = [*filters, *own, *query["must"]]
        inner_exclusions = [*exclusions, *without]
        n = 2 if place == "should" and self.chance(0.4) else 1
        children = [self._query(inner_filters, inner_exclusions, depth) for _ in range(n)]
        if place == "should" and self.chance(0.5):
            children.append(self._plain())
        query[place] = [*query.get(place, []), *children]
        query = {key: value for key, value in query.items() if value}
        if place == "must" and len(query["must"]) == 1 and self.chance(0.5):
            query["must"] = query["must"][0]
        if self.chance(0.1):
            query["boost"] = 2.0
        return {"bool": query}

    def _constant(self, filters, exclusions, depth):
        return {"constant_score": {"filter": self._query(filters, exclusions, depth), "boost": 1.5}}

    def _function(self, filters, exclusions, depth):
        inner = self._query(filters, exclusions, depth)
        factor = {"field": "n", "missing": 1, "modifier": "log2p"}
        mode = self.one_of("replace", "multiply", "sum")
        return {
            "function_score": {"query": inner, "field_value_factor": factor, "boost_mode": mode}
        }

    def _dis_max(self, filters, exclusions, depth):
        several = [self._query(filters, exclusions, depth), self._plain()]
        return {"dis_max": {"queries": several, "tie_breaker": 0.3}}

    def _boosting(self, filters, exclusions, depth):
        positive = self._query(filters, exclusions, depth)
        return {
            "boosting": {"positive": positive, "negative": self._plain(), "negative_boost": 0.5}
        }

    # What else a body says.

    def _add_rest(self):
        body, rng = self.body, self.rng
        if self.chance(0.5):
            body["size"] = int(self.one_of(0, 1, 4, 10, 30, 100))
        if self.chance(0.2):
            body["from"] = int(rng.integers(0, 12))
        if self.chance(0.25):
            body["sort"] = self.one_of(
                [{"n": "desc"}, {"_seq_no": "asc"}],
                ["_score", {"_seq_no": "asc"}],
                [{"group": "asc"}, {"n": "asc"}, {"_seq_no": "desc"}],
                ["_score", {"n": "asc"}, {"_seq_no": "asc"}],
            )
            if self.chance(0.3):
                body["track_scores"] = True
        if self.chance(0.25):
            body["aggs"] = {
                "groups": {"terms": {"field": "group"}, "aggs": {"n": {"avg": {"field": "n"}}}},
                "some": {"filter": {"range": {"n": {"gte": 500}}}},
            }
        if self.chance(0.1):
            body["collapse"] = {"field": "group"}
        if self.chance(0.1):
            body["min_score"] = float(rng.random())
        if self.chance(0.15):
            body["highlight"] = {"fields": {"text": {}}}
        if self.chance(0.1):
            body["post_filter"] = {"range": {"n": {"lt": 500}}}
        if self.chance(0.2):
            body["track_total_hits"] = self.one_of(True, False, 5)
        if self.chance(0.1):
            plain = {"match": {"text": "berlin"}}
            if not {"sort", "collapse"} & set(body):
                body["rescore"] = {"window_size": 50, "query": {"rescore_query": plain}}
        if self.chance(0.3):
            body["_source"] = self.one_of(False, ["group"])
        if self.chance(0.1):
            body["docvalue_fields"] = ["n"]

    # What it must be answered with.

    def expected_body(self, documents):
        """With these documents in the place of each clause; scored by a script."""
        replaced = {
            id(placed): self._by_ids(clause, found)
            for (placed, clause, _, _), found in zip(self.clauses, documents, strict=True)
        }

        def put(value):
            if id(value) in replaced:
                return replaced[id(value)]
            if isinstance(value, dict):
                return {key: put(inner) for key, inner in value.items()}
            return [put(inner) for inner in value] if isinstance(value, list) else value

        body = put(self.body)
        body.setdefault("size", max(clause["k"] for _, clause, _, _ in self.clauses))
        if not {"sort", "rescore"} & set(body):
            body["sort"] = SORT
        return body

    def _by_ids(self, clause, keys):
        each, groups = [], {}
        for index, identity, routing in keys:
            groups.setdefault((index, routing), []).append(identity)
        for (index, routing), ids in groups.items():
            routed = {"exists": {"field": "_routing"}}
            by = {"bool": {"must_not": routed}}
            if routing is not None:
                by = {"term": {"_routing": routing}}
            # By a script: an engine leaves out what cannot match in an index, names and all.
            script = {"source": "doc['_index'].value == params.index", "params": {"index": index}}
            own = [{"script": {"script": script}}, {"ids": {"values": ids}}, by]
            each.append({"bool": {"filter": own}})
        if not each:
            return {"match_none": {}}
        dialect = self.world.engine.dialect
        params = {"field": FIELD, "target": self.world.target(clause).tolist()}
        source = f"(1.0 + cosineSimilarity(params.target, {dialect.script_field})) / 2.0"
        if clause.get("method") == "3cosmul":
            params |= {x: clause[x]["vector"] for x in "abc"}
            a, b, c = (
                f"(1.0 + cosineSimilarity(params.{x}, {dialect.script_field})) / 2.0" for x in "abc"
            )
            source = f"double a = {a}; double b = {b}; double c = {c}; return b * c / (a + 0.001);"
        scored = {
            "script_score": {
                "query": {"bool": {"should": each}},
                "script": {"source": source, "params": params},
            }
        }
        own = {"boost": clause["boost"]} if "boost" in clause else {}
        if "_name" in clause:
            own["_name"] = clause["_name"]
        return {"bool": {"must": [scored], **own}} if own else scored

    def __repr__(self):
        return json.dumps(self.body)


def difference(answer, expected, body):
    """What is wrong with an answer, in words; None where nothing is."""
    for part in ("total", "max_score"):
        ours, theirs = answer["hits"].get(part), expected["hits"].get(part)
        if part == "total" and ours != theirs:
            return f"total {ours}, expected {theirs}"
        if part == "max_score" and None not in (ours, theirs) and not close(ours, theirs):
            return f"max_score {ours}, expected {theirs}"
    if not close(answer.get("aggregations"), expected.get("aggregations")):
        return f"aggregations {answer.get('aggregations')}, expected {expected['aggregations']}"
    ours, theirs = answer["hits"]["hits"], expected["hits"]["hits"]
    if len(ours) != len(theirs):
        return f"{len(ours)} hits, expected {len(theirs)}"
    for i, (one, other) in enumerate(zip(ours, theirs, strict=True)):
        if key_of(one) != key_of(other):
            return f"hit {i} is {key_of(one)}, expected {key_of(other)}"
    told = {key_of(hit): hit for hit in theirs}
    for hit in ours:
        other = told[key_of(hit)]
        for part in set(hit) | set(other):
            if part == "sort" and "sort" not in body:
                continue
            if not close(hit.get(part), other.get(part)):
                return f"{key_of(hit)}: {part} {hit.get(part)}, expected {other.get(part)}"
    return None


def close(one, other):
    """Equal, with numbers as near as float32 gives them."""
    if isinstance(one, float) or isinstance(other, float):
        if not isinstance(one, int | float) or not isinstance(other, int | float):
            return False
        return abs(one - other) <= 1e-5 * max(1.0, abs(other))
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(close(one[key], other[key]) for key in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(close, one, other))
    return one == other
