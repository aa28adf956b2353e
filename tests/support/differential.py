"""Search bodies by chance, and what they must be answered with: the k nearest by NumPy."""

import copy
import json
from dataclasses import dataclass
from typing import Any

from meta4.adapter.search.rewriter import SORT

from .drawn_fields import VECTORS, DrawnField
from .drawn_worlds import WORDS, key_of

_BY_SEQ = [{"_seq_no": "asc"}]


@dataclass
class Asked:
    """A clause, and what stands around it.

    Attributes:
        placed: as it stands in the body.
        clause: what it says.
        field: of which field.
        meant: the same without a document's id.
        ids: the documents that it names.
        filters: plain queries that hold for it.
        exclusions: those that may not.
        defined: fields that these may speak of.
    """

    placed: dict[str, Any]
    clause: dict[str, Any]
    field: DrawnField
    meant: dict[str, Any]
    ids: list[str]
    filters: list[Any]
    exclusions: list[Any]
    defined: dict[str, Any]


class Case:
    """A body, its clauses, and what stands around each of them."""

    def __init__(self, world, rng, recall):
        self.world, self.rng, self.recall = world, rng, recall
        self.asked = []
        self.defined = self._definitions()
        self.body = {"query": self._query([], [], 0), **self.defined}
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
            self._script,
        )(filters, exclusions, depth + 1)

    def _definitions(self):
        if self.world.is_opensearch or not self.chance(0.15):  # its own differ from call to call
            return {}
        script = "emit(doc['n'].size() == 0 ? -1L : doc['n'].value % 3)"
        return {"runtime_mappings": {"third": {"type": "long", "script": {"source": script}}}}

    def _clause(self, filters, exclusions):
        rng, field = self.rng, self.one_of(*self.world.fields)
        values, named, ids = list(self.world.values[field].values()), self.world.named[field], []

        def operand():
            """As it is asked, and as it is meant."""
            if self.chance(0.25) and named:
                key = named[rng.integers(len(named))]
                ids.append(key[1])
                return {"id": key[1]}, field.operand(self.world.values[field][key])
            value = field.draw(rng)
            if self.chance(0.3):  # as a document has it
                value = values[rng.integers(len(values))]
            return (field.operand(value),) * 2

        k = int(self.one_of(1, 3, 10, 25, 60, 500))
        own, meant = operand()
        name, clause = "meta4_similar", {**own, "k": k, "recall": self.recall}
        if field is VECTORS and self.chance(0.15):
            ids.clear()
            operands = {x: operand() for x in "abc"}
            method = self.one_of("3cosadd", "3cosmul")
            clause = {x: asked for x, (asked, _) in operands.items()}
            name, clause = (
                "meta4_analogy",
                {**clause, "k": k, "recall": self.recall, "method": method},
            )
            meant = {x: one for x, (_, one) in operands.items()} | {"method": method}
        if self.chance(0.1):
            clause["boost"] = float(self.one_of(0.5, 3.0))
        if self.chance(0.1) and self.world.tells_all:
            clause["_name"] = f"clause {len(self.asked)}"
        placed = {name: {field.name: clause}}
        self.asked.append(
            Asked(placed, clause, field, meant, ids, filters, exclusions, self.defined)
        )
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
            {"term": {"third": 1}} if self.defined else {"exists": {"field": "n"}},
            {"ids": {"values": [f"d{i}" for i in self.rng.choice(320, 60, replace=False)]}},
        )
        query = copy.deepcopy(query)
        if not self.world.tells_all:
            return query
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
        n = 2 if self.chance(0.4 if place == "should" else 0.1) else 1
        children = [self._query(inner_filters, inner_exclusions, depth) for _ in range(n)]
        if place == "should" and self.chance(0.5):
            children.append(self._plain())
        query[place] = [*query.get(place, []), *children]
        query = {key: value for key, value in query.items() if value}
        if place != "should" and self.chance(0.2):
            query["should"] = [self._plain(), self._query(inner_filters, inner_exclusions, depth)]
        if "should" in query and self.chance(0.3):
            query["minimum_should_match"] = self.one_of(0, 1, 2, "50%", -1)
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

    def _script(self, filters, exclusions, depth):
        inner = self._query(filters, exclusions, depth)
        own = {"min_score": 0.8} if self.chance(0.2) else {}
        return {"script_score": {"query": inner, "script": {"source": "_score * 2"}, **own}}

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
            body["from"] = int(self.one_of(*range(12), 40, 300))
        if self.chance(0.25):
            body["sort"] = self.one_of(
                [{"n": "desc"}, {"_seq_no": "asc"}],
                ["_score", {"_seq_no": "asc"}],
                [{"group": "asc"}, {"n": "asc"}, {"_seq_no": "desc"}],
                ["_score", {"n": "asc"}, {"_seq_no": "asc"}],
                [{"n": {"order": "asc", "missing": "_first"}}, {"_seq_no": "asc"}],
                [
                    {"parts.size": {"order": "desc", "mode": "max", "nested": {"path": "parts"}}},
                    {"_seq_no": "asc"},
                ],
            )
            if self.chance(0.3):
                body["track_scores"] = True
        if self.chance(0.25):
            body["aggs"] = {
                "groups": {"terms": {"field": "group"}, "aggs": {"n": {"avg": {"field": "n"}}}},
                "some": {"filter": {"range": {"n": {"gte": 500}}}},
                "all": {"global": {}, "aggs": {"n": {"max": {"field": "n"}}}},
                "best": {"top_hits": {"size": 2, "_source": False, "sort": ["_score", *_BY_SEQ]}},
                "few": {"sampler": {"shard_size": 1000}, "aggs": {"n": {"sum": {"field": "n"}}}},
            }
        if self.chance(0.1):
            inner = {"name": "others", "size": 2, "_source": False, "sort": _BY_SEQ}
            body["collapse"] = {
                "field": "group",
                **({"inner_hits": inner} if self.chance(0.5) else {}),
            }
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
        for share, key, value in (
            (0.05, "explain", True),
            (0.05, "version", True),
            (0.05, "fields", ["group", "third"] if self.defined else ["group"]),
            (0.05, "terminate_after", 4),
            (0.05, "indices_boost", [{self.world.names[-1]: 2.0}]),
            (0.05, "script_fields", {"twice": {"script": {"source": "doc['group'].value + '!'"}}}),
        ):
            if self.chance(share):
                body[key] = value
        if self.world.is_opensearch:  # which takes no `knn` here, and fails with these two
            if "nested" in json.dumps(body.get("sort")):
                body["track_total_hits"] = True
            return
        if self.chance(0.05):
            body["profile"] = True
        takes_knn = VECTORS in self.world.fields and not {"collapse", "rescore"} & set(body)
        if self.chance(0.05) and takes_knn:
            near = {"field": VECTORS.name, "query_vector": VECTORS.draw(rng)}
            body["knn"] = {**near, "k": 5, "num_candidates": 5}

    # What it must be answered with.

    def expected_body(self, documents):
        """With these documents in the place of each clause; scored by a script."""
        replaced = {
            id(asked.placed): self._by_ids(asked, found)
            for asked, found in zip(self.asked, documents, strict=True)
        }

        def put(value):
            if id(value) in replaced:
                return replaced[id(value)]
            if isinstance(value, dict):
                return {key: put(inner) for key, inner in value.items()}
            return [put(inner) for inner in value] if isinstance(value, list) else value

        body = put(self.body)
        body.setdefault("size", max(asked.clause["k"] for asked in self.asked))
        if not {"sort", "rescore"} & set(body):
            body["sort"] = SORT
        return body

    def _by_ids(self, asked, keys):
        clause = asked.clause
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
        source, params = asked.field.script(asked.meant, self.world.engine.dialect)
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
            if part == "_explanation" or (part == "sort" and "sort" not in body):
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
