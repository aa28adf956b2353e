"""Indexes by chance: settings, analysers, types, pipelines, aliases; and what is told of one."""

from dataclasses import dataclass, field
from urllib.parse import quote

import numpy as np

from meta4 import Document
from meta4.adapter.engines.opensearch import OpenSearchEngine
from meta4.adapter.fields.field import Options
from meta4.adapter.fields.kinds import new_field
from meta4.adapter.manage.pipelines import pipeline_name
from meta4.adapter.model_store import ModelStore
from meta4.errors import NotFoundError
from meta4.ingest.bulk import to_action

FIELD = "doc.embedding"
DIMS = 4
IDS = ("a", "b/c", "ü ñ", "x#y?z", "%20", "[/b]", '"quoted"', "tab\there", "+", "naïve, yes")
WORDS = ("berlin", "paris", "zebra", "über", "Straße", "a", "zz")
#: What the engine sets itself, or whoever makes an index of ours.
NOT_THEIRS = (
    "index.uuid",
    "index.creation_date",
    "index.provided_name",
    "index.version.",
    "index.number_of_replicas",
    "index.sort.",
    "index.knn",
    "index.search.concurrent_segment_search.mode",
)
#: What only one of the engines has.
OF_ONE_ENGINE = (
    "index.replication.type",
    "index.routing.allocation.include._tier_preference",
    "index.mapping.exclude_source_vectors",
    "index.lifecycle.",
    "index.merge.policy.",  # OpenSearch writes all of it where one is set
)
#: What is about the nodes of one cluster.
OF_THE_CLUSTER = ("index.routing.allocation.exclude.",)


@dataclass
class Drawn:
    """An index to be made.

    Attributes:
        settings: under `index.`.
        mapping: of the index, without the hashed field.
        documents: id, routing and source of each.
        aliases: by name.
        pipelines: of others, by name.
        odd: what makes a refusal right.
    """

    settings: dict = field(default_factory=dict)
    mapping: dict = field(default_factory=dict)
    documents: list = field(default_factory=list)
    aliases: dict = field(default_factory=dict)
    pipelines: dict = field(default_factory=dict)
    odd: set = field(default_factory=set)


def draw(engine, rng, name):
    """One of them."""
    is_opensearch = isinstance(engine, OpenSearchEngine)

    def happens(p=0.4):
        return rng.random() < p

    drawn = Drawn()
    shards = int(rng.integers(1, 4))
    settings = {"number_of_shards": shards, "number_of_replicas": 0}
    choices = {
        "refresh_interval": ["30s", "-1", "2s"],
        "codec": ["best_compression"],
        "max_result_window": [5000, 20000],
        "max_inner_result_window": [50],
        "mapping.total_fields.limit": [2000],
        "mapping.depth.limit": [15],
        "mapping.nested_fields.limit": [10],
        "mapping.ignore_malformed": [True],
        "mapping.coerce": [False],
        "query.default_field": [["title", "tag"]],
        "translog": [{"durability": "async", "sync_interval": "200ms"}],
        "merge.policy.max_merged_segment": ["1gb"],
        "search.slowlog.threshold.query.warn": ["10s"],
        "priority": [5],
        "gc_deletes": ["5m"],
        "requests.cache.enable": [False],
        "max_docvalue_fields_search": [50],
        "highlight.max_analyzed_offset": [5000],
        "max_regex_length": [500],
        "unassigned.node_left.delayed_timeout": ["5m"],
        "routing.allocation.total_shards_per_node": [10],
        "write.wait_for_active_shards": ["1", "all"],
        "routing.allocation.exclude._name": ["no-such-node"],
        "similarity.mine": [{"type": "BM25", "b": 0}, {"type": "BM25", "k1": 2.0, "b": 0.1}],
    }
    for name_, values in choices.items():
        if happens(0.3) or name_ == "similarity.mine":
            settings[name_] = values[int(rng.integers(len(values)))]
    settings["max_ngram_diff"] = 9
    ngram = {"type": "ngram", "min_gram": 1, "max_gram": int(rng.integers(5, 11))}
    analyser = {"type": "custom", "tokenizer": "grams", "filter": ["lowercase"]}
    settings["analysis"] = {"tokenizer": {"grams": ngram}, "analyzer": {"ours": analyser}}

    title = {"type": "text", "analyzer": "ours", "similarity": "mine"}
    if happens():
        title["fields"] = {"raw": {"type": "keyword", "ignore_above": 8}}
    properties = {
        "title": title,
        "tag": {"type": "keyword"},
        "n": {"type": "integer", "ignore_malformed": True},
        "when": {"type": "date", "format": "yyyy-MM-dd||epoch_millis"},
    }
    more = {
        "place": {"type": "geo_point"},
        "all": {"type": "text"},
        "many": {"type": "nested", "properties": {"x": {"type": "long"}}},
        "raw": {"type": "object", "enabled": False},
        "span": {"type": "integer_range"},
        "host": {"type": "ip"},
        "short": {"type": "keyword", "ignore_above": 3, "null_value": "none"},
        "same": {"type": "alias", "path": "tag"},
        "price": {"type": "half_float"},
        "blob": {"type": "binary"},
    }
    properties |= {key: value for key, value in more.items() if happens(0.5)}
    if "all" in properties:
        properties["tag"]["copy_to"] = "all"
    properties |= _other_vectors(is_opensearch, rng, happens)
    if happens():
        properties["doc"]["dynamic"] = "false"

    mapping = {"properties": properties}
    if happens():
        mapping["date_detection"] = False
    if happens():
        mapping["numeric_detection"] = True
    if happens():
        template = {"match": "s_*", "mapping": {"type": "keyword"}}
        mapping["dynamic_templates"] = [{"strings": template}]
    if happens():
        mapping["dynamic"] = ["true", "false", "strict"][int(rng.integers(3))]
    if happens(0.5):
        mapping["_meta"] = {"owner": {"team": "search", "n": 3}, "note": "ü"}
    routed = happens(0.3)
    if routed:
        mapping["_routing"] = {"required": True}
        if shards > 1 and happens(0.3):
            settings["routing_partition_size"] = shards - 1
    if not is_opensearch and happens(0.2):
        mapping["runtime"] = {"upper": {"type": "keyword"}}
        drawn.odd.add("runtime")
    if happens(0.12):
        source = [
            {"excludes": [FIELD]},
            {"excludes": ["raw.*"]},
            {"includes": ["title", "doc.*"]},
            {"enabled": False},
        ]
        mapping["_source"] = source[int(rng.integers(4))]
        drawn.odd.add("_source")
        if not is_opensearch:
            settings["mapping.exclude_source_vectors"] = False
    for kind in ("default", "final"):
        if happens(0.12):
            pipeline = f"theirs-{kind}-{name}"
            processor = {"append": {"field": "tag", "value": ["seen"]}}
            drawn.pipelines[pipeline] = {"processors": [processor]}
            settings[f"{kind}_pipeline"] = pipeline
            drawn.odd.add(f"{kind}_pipeline")
    if happens(0.08):
        settings["blocks.write"] = True
        drawn.odd.add("blocks")
    drawn.settings, drawn.mapping = settings, mapping
    drawn.documents = [_document(i, properties, routed, rng, happens) for i in range(15)]
    for i in range(int(rng.integers(0, 4))):
        alias = {}
        if happens():
            alias["filter"] = {"term": {"tag": "x"}}
        if happens():
            alias["index_routing"], alias["search_routing"] = "r1", "r1,r2"
        if happens(0.3):
            alias["is_hidden"] = True
        if happens(0.3):
            alias["is_write_index"] = True
        drawn.aliases[f"{name}-alias-{i}"] = alias
    return drawn


def _other_vectors(is_opensearch, rng, happens):
    """Two fields of vectors that are not hashed."""

    def one_of(*things):
        return things[int(rng.integers(len(things)))]

    if is_opensearch:
        space = one_of("l2", "cosinesimil", "innerproduct")
        method = {"name": "hnsw", "engine": "lucene", "space_type": space}
        if happens():
            method["parameters"] = {"m": 8, "ef_construction": 50}
        a = {"type": "knn_vector", "dimension": 3, "method": method}
        b = {"type": "knn_vector", "dimension": 2, "space_type": "l2"}
        if happens(0.3):
            lucene = {"name": "hnsw", "engine": "lucene", "space_type": "l2"}
            b = {"type": "knn_vector", "dimension": 2, "data_type": "byte", "method": lucene}
    else:
        similarity = one_of("l2_norm", "cosine", "max_inner_product")
        a = {"type": "dense_vector", "dims": 3, "similarity": similarity}
        if happens():
            a["index_options"] = {
                "type": one_of("hnsw", "int8_hnsw"),
                "m": 8,
                "ef_construction": 50,
            }
        b = {"type": "dense_vector", "dims": 2, "similarity": "l2_norm"}
        if happens(0.3):
            b["element_type"] = "byte"
            b["index_options"] = {"type": "hnsw"}
    inner = {"inner": {"type": "keyword"}, "nothing": {"type": "keyword"}, "other_vec": b}
    return {"text_vec": a, "doc": {"properties": inner}}


def _document(i, properties, routed, rng, happens):
    def floats(n):
        return rng.normal(size=n).round(4).tolist()

    values = {
        "title": " ".join(rng.choice(WORDS, 3)),
        "tag": "x" if happens() else ["y", "z"],
        "n": int(rng.integers(100)) if happens(0.8) else "no number",
        "when": "2026-01-02",
        "place": {"lat": 1.5, "lon": 2.5},
        "many": [{"x": 1}, {"x": 2}],
        "raw": {"any": [1, {"thing": None}], "": 1},
        "span": {"gte": 1, "lt": 9},
        "host": "10.0.0.1",
        "short": "much too long" if happens() else None,
        "price": 1.25,
        "blob": "bWV0YTQ=",
    }
    source = {key: value for key, value in values.items() if key in properties and happens(0.7)}
    source["doc"] = {"inner": f"i{i}"}
    if happens(0.8):
        source["text_vec"] = floats(3)
    if happens(0.8):
        kind = properties["doc"]["properties"]["other_vec"]
        is_bytes = "byte" in (kind.get("data_type"), kind.get("element_type"))
        source["doc"]["other_vec"] = [3, -7] if is_bytes else floats(2)
    if happens(0.85):
        source["doc"]["embedding"] = floats(DIMS)
    if happens(0.3):
        source["doc"]["nothing"] = None
    routing = f"r{rng.integers(3)}" if routed or happens(0.3) else None
    return (IDS[i] if i < len(IDS) else f"id-{i}"), routing, source


def make(engine, name, drawn, body, hasher=None):
    """The index with its documents; `body` is that of the hashed field, or of a plain vector."""
    documents = [Document(i, source, routing=by) for i, by, source in drawn.documents]
    if hasher is not None:
        documents = hasher.hash(documents).documents
    for pipeline, processors in drawn.pipelines.items():
        engine.put_pipeline(pipeline, processors)
    late = ("default_pipeline", "final_pipeline", "blocks.write")
    settings = {k: v for k, v in drawn.settings.items() if k not in late}
    settings |= body["settings"]["index"]
    settings["number_of_shards"] = drawn.settings["number_of_shards"]
    theirs = drawn.mapping["properties"]
    ours = body["mappings"]["properties"]
    doc = {**theirs["doc"], "properties": {**theirs["doc"]["properties"]}}
    doc["properties"] |= ours["doc"]["properties"]
    mapping = {**drawn.mapping, "properties": {**theirs, **ours, "doc": doc}}
    meta = {**drawn.mapping.get("_meta", {}), **body["mappings"].get("_meta", {})}
    if meta:
        mapping["_meta"] = meta
    aliases = drawn.aliases
    engine.create_index(
        name, {"settings": {"index": settings}, "mappings": mapping, "aliases": aliases}
    )
    done = engine.bulk(name, b"".join(to_action(document).line for document in documents))
    assert all(item["status"] == 201 for item in done), done
    last = {f"index.{k}": v for k, v in drawn.settings.items() if k in late}
    if "default_pipeline" in body["settings"]["index"]:
        last.pop("index.default_pipeline", None)
    if last:
        engine.request("PUT", f"/{name}/_settings", last)
    engine.refresh(name)


def write(engine, index, identity, routing, source, **params):
    params |= {} if routing is None else {"routing": routing}
    engine.request("PUT", f"/{index}/_doc/{quote(identity, safe='')}", source, params)


def settings_of(engine, index, *, crossed=False):
    """By their whole names, those that are to survive."""
    left_out = NOT_THEIRS + (OF_ONE_ENGINE + OF_THE_CLUSTER if crossed else ())
    (entry,) = engine.request(
        "GET", f"/{index}/_settings", None, {"flat_settings": "true"}
    ).values()
    found = {k: v for k, v in entry["settings"].items() if not k.startswith(left_out)}
    if str(found.get("index.default_pipeline")).startswith("meta4-"):
        del found["index.default_pipeline"]
    return found


def mapping_of(engine, index, *, crossed=False):
    """All that is not ours; crossed, with fields of vectors as both engines have them."""
    (mapping,) = engine.mappings(index).values()
    mapping = dict(mapping)
    meta = {k: v for k, v in mapping.pop("_meta", {}).items() if not k.startswith("meta4")}
    properties = dict(mapping.pop("properties"))
    properties.pop("meta4", None)
    doc = dict(properties["doc"])
    doc["properties"] = {k: v for k, v in doc["properties"].items() if k != "embedding"}
    properties["doc"] = doc
    if crossed:
        properties["text_vec"] = _common(properties["text_vec"])
        doc["properties"]["other_vec"] = _common(doc["properties"]["other_vec"])
    return {"meta": meta, "properties": properties, **mapping}


def _common(kind):
    method = kind.get("method", {})
    spaces = {"l2_norm": "l2", "cosine": "cosinesimil", "max_inner_product": "innerproduct"}
    space = method.get("space_type") or kind.get("space_type") or spaces[kind["similarity"]]
    element = str(kind.get("data_type") or kind.get("element_type") or "float").lower()
    options = method.get("parameters") or kind.get("index_options") or {}
    graph = (options.get("m", 16), options.get("ef_construction", 100))
    return (kind.get("dimension") or kind.get("dims"), space, element, graph)


def aliases_of(engine, index):
    return next(iter(engine.request("GET", f"/{index}/_alias").values()))["aliases"]


def documents_of(engine, index):
    """By id and routing: the document without what is ours, and its vectors."""
    engine.refresh(index)
    found = {}
    for hit in engine.scan(index, {"query": {"match_all": {}}}):
        source = hit.get("_source", {})
        source.pop("meta4", None)
        doc = source.get("doc", {})
        vectors = [source.pop("text_vec", None), doc.pop("other_vec", None)]
        direction = doc.pop("embedding", None)
        if direction is not None:
            direction = np.asarray(direction) / np.linalg.norm(direction)
        found[hit["_id"], hit.get("_routing")] = (source, vectors, direction)
    return found


def searchable(engine, index):
    """What an analysed field, a keyword and each field of vectors are found by."""
    queries = [{"match": {"title": {"query": word, "operator": "and"}}} for word in WORDS]
    queries += [{"term": {"tag": "x"}}, {"term": {"doc.inner": "i3"}}, {"term": {"n": 5}}]
    fields = ("title", "tag", "all", "short", "title.raw", "text_vec", "doc.other_vec")
    queries += [{"exists": {"field": name}} for name in (*fields, FIELD)]
    found = []
    for query in queries:
        hits = engine.search(index, {"size": 100, "_source": False, "query": query})["hits"]["hits"]
        found.append(sorted((hit["_id"], hit.get("_routing", "")) for hit in hits))
    return found


def differences(one, other, path=""):
    """Where two such trees differ."""
    if isinstance(one, dict) and isinstance(other, dict):
        return [
            each
            for name in sorted({*one, *other})
            for each in differences(one.get(name), other.get(name), f"{path}/{name}")
        ]
    if isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        pairs = zip(one, other, strict=True)
        return [d for i, p in enumerate(pairs) for d in differences(*p, f"{path}/{i}")]
    return [] if one == other else [f"{path}: {one!r} != {other!r}"]


def scores(engine, index):
    """By an analyser and a similarity of their own."""
    body = {"size": 100, "_source": False, "query": {"match": {"title": "berlin paris"}}}
    hits = engine.search(index, body, {"search_type": "dfs_query_then_fetch"})["hits"]["hits"]
    return {hit["_id"]: round(hit["_score"], 4) for hit in hits}


def assert_same_documents(before, after):
    assert before.keys() == after.keys()
    for key, (source, vectors, direction) in before.items():
        other, other_vectors, other_direction = after[key]
        assert other == source, key
        for a, b in zip(vectors, other_vectors, strict=True):
            assert (a is None) == (b is None), key
            if a is not None:
                assert np.allclose(a, b, rtol=1e-5), key
        assert (direction is None) == (other_direction is None), key
        if direction is not None:
            assert np.allclose(direction, other_direction, atol=1e-5), key


def everything(engine, names):
    """All that a cluster tells of these indexes, word for word, and of all pipelines."""
    try:
        pipelines = engine.request("GET", "/_ingest/pipeline")
    except NotFoundError:
        pipelines = {}
    told = {}
    for name in names:
        for index, mapping in engine.mappings(f"{name}*").items():
            settings = engine.request("GET", f"/{index}/_settings")[index]
            engine.refresh(index)
            hits = engine.scan(index, {"query": {"match_all": {}}, "seq_no_primary_term": True})
            told[index] = (mapping, settings, aliases_of(engine, index), sorted(map(str, hits)))
    return told, pipelines


def field_of(engine, model, hashing):
    ref = ModelStore(engine).push("small", model)
    return new_field(engine, FIELD, ref, model, Options(hashing=hashing))


def hashed(engine, name, drawn, model, hashing):
    """A hashed index as drawn."""
    made = field_of(engine, model, hashing)
    pipeline = None
    if hashing == "server":
        pipeline = pipeline_name(name)
        engine.put_pipeline(pipeline, made.pipeline(engine))
    hasher = engine.run(made.hasher()) if hashing == "client" else None
    make(engine, name, drawn, made.index_body(shards=1, replicas=0, pipeline=pipeline), hasher)


def plain(engine, name, drawn):
    """One that knows nothing of meta4."""
    body = engine.dialect.graph_index_body("embedding", DIMS, engine.dialect.graphs[0])
    body["mappings"]["properties"] = {"doc": {"properties": body["mappings"]["properties"]}}
    if isinstance(engine, OpenSearchEngine):  # a graph of faiss needs native libraries
        body["settings"]["index"]["knn.advanced.approximate_threshold"] = -1
    make(engine, name, drawn, body)


def told(engine, index, *, crossed=False):
    engine.refresh(index)
    return {
        "settings": settings_of(engine, index, crossed=crossed),
        "mapping": mapping_of(engine, index, crossed=crossed),
        "found": searchable(engine, index),
    }
