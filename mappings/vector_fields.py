"""Vector fields that are not ours, as each engine writes them.

Between the engines a field is a `PlainVectors`: what both can hold. How a graph is squeezed
(Elasticsearch's `int8_hnsw` and the like) is left out: it is memory, and the vectors are whole.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from ..errors import InputError

Json = dict[str, Any]
Space = Literal["l2", "cosine", "dot", "inner"]
#: The most dimensions of a `dense_vector`.
_MOST_DIMS = 4096
#: A graph's neighbours and its width while it is built, by default: Lucene's own.
_M, _EF = 16, 100
_OPENSEARCH_SPACES: dict[str, Space] = {
    "l2": "l2",
    "cosinesimil": "cosine",
    "innerproduct": "inner",
}
_ELASTICSEARCH_SPACES: dict[str, Space] = {
    "l2_norm": "l2",
    "cosine": "cosine",
    "dot_product": "dot",
    "max_inner_product": "inner",
}
#: Words of a `knn_vector` that say how vectors themselves are kept in less space, or trained.
_SQUEEZED = ("mode", "compression_level", "model_id")


@dataclass(frozen=True)
class PlainVectors:
    """A field of float vectors, or of bytes, with a graph or without.

    Attributes:
        dims: of each.
        is_bytes: whole numbers from -128 to 127.
        space: by what they are compared; None where they have no graph.
        m: neighbours in the graph.
        ef: width while it is built.
    """

    dims: int
    is_bytes: bool
    space: Space | None
    m: int = _M
    ef: int = _EF


def from_opensearch(mapping: Json) -> PlainVectors | str:
    """What a `knn_vector` is; in words, what of it has no counterpart."""
    method = mapping.get("method", {})
    parameters = method.get("parameters", {})
    kind = str(mapping.get("data_type", "float")).lower()  # told in capitals
    space = method.get("space_type") or mapping.get("space_type") or "l2"
    squeezed = next((f"{word}: {mapping[word]}" for word in _SQUEEZED if mapping.get(word)), None)
    if kind not in ("float", "byte"):
        return f"data_type: {kind}"
    if squeezed is not None:
        return squeezed
    if "encoder" in parameters:
        return f"encoder: {parameters['encoder'].get('name')}"
    if method.get("name", "hnsw") not in ("hnsw", "flat"):
        return f"method: {method['name']}"
    if space not in _OPENSEARCH_SPACES:
        return f"space_type: {space}"
    if "dimension" not in mapping:
        return "no dimension"
    return PlainVectors(
        dims=int(mapping["dimension"]),
        is_bytes=kind == "byte",
        space=None if mapping.get("index") is False else _OPENSEARCH_SPACES[space],
        m=int(parameters.get("m", _M)),
        ef=int(parameters.get("ef_construction", _EF)),
    )


def to_opensearch(vectors: PlainVectors) -> Json | str:
    """A `knn_vector`. Its graph is Lucene's: one of faiss needs native libraries on the node."""
    if vectors.space is None:
        return "index: false"
    spaces: dict[Space, str] = {
        "l2": "l2",
        "cosine": "cosinesimil",
        "dot": "innerproduct",
        "inner": "innerproduct",
    }
    mapping = {
        "type": "knn_vector",
        "dimension": vectors.dims,
        "method": {
            "name": "hnsw",
            "engine": "lucene",
            "space_type": spaces[vectors.space],
            "parameters": {"m": vectors.m, "ef_construction": vectors.ef},
        },
    }
    return mapping | ({"data_type": "byte"} if vectors.is_bytes else {})


def from_elasticsearch(mapping: Json) -> PlainVectors | str:
    """What a `dense_vector` is; in words, what of it has no counterpart."""
    kind = mapping.get("element_type", "float")
    if kind not in ("float", "byte"):
        return f"element_type: {kind}"
    if "dims" not in mapping:
        return "no dims yet"
    options = mapping.get("index_options", {})
    space = _ELASTICSEARCH_SPACES.get(mapping.get("similarity", "cosine"))
    return PlainVectors(
        dims=int(mapping["dims"]),
        is_bytes=kind == "byte",
        space=None if mapping.get("index") is False else space,
        m=int(options.get("m", _M)),
        ef=int(options.get("ef_construction", _EF)),
    )


def to_elasticsearch(vectors: PlainVectors) -> Json | str:
    """A `dense_vector`."""
    if vectors.dims > _MOST_DIMS:
        return f"{vectors.dims:,} dimensions, and Elasticsearch takes at most {_MOST_DIMS:,}"
    kind = {"type": "dense_vector", "dims": vectors.dims}
    kind |= {"element_type": "byte"} if vectors.is_bytes else {}
    if vectors.space is None:
        return kind | {"index": False}
    spaces: dict[Space, str] = {name: word for word, name in _ELASTICSEARCH_SPACES.items()}
    options = {"type": "hnsw", "m": vectors.m, "ef_construction": vectors.ef}
    return kind | {"index": True, "similarity": spaces[vectors.space], "index_options": options}


Read = Callable[[Json], PlainVectors | str]
Write = Callable[[PlainVectors], Json | str]
#: By the type's name: how it is read, and how the other engine's is written.
_WAYS: dict[str, tuple[Read, Write]] = {
    "knn_vector": (from_opensearch, to_elasticsearch),
    "dense_vector": (from_elasticsearch, to_opensearch),
}


def translated(properties: Json, path: str = "") -> Json:
    """Properties of a mapping with all vector fields as the other engine writes them.

    Args:
        properties: of a mapping or an object.
        path: of the object.

    Raises:
        InputError: a field has something that the other engine does not.
    """
    return {name: _translated(entry, f"{path}{name}") for name, entry in properties.items()}


def has_vectors(properties: Json) -> bool:
    """Whether a field of vectors is among them, at any depth."""
    return any(
        entry.get("type") in _WAYS
        or has_vectors(entry.get("properties", {}))
        or has_vectors(entry.get("fields", {}))
        for entry in properties.values()
    )


def _translated(entry: Json, path: str) -> Json:
    if entry.get("type") in _WAYS:
        read, write = _WAYS[entry["type"]]
        vectors = read(entry)
        written = vectors if isinstance(vectors, str) else write(vectors)
        if isinstance(written, str):
            raise InputError(
                f"field {path!r} is a {entry['type']} with {written}, for which the other engine "
                f"has no counterpart; copy within one engine, or first write the documents "
                f"into an index where {path!r} is a field of plain float vectors"
            )
        return written | {word: entry[word] for word in ("meta",) if word in entry}
    inner: Json = {
        part: translated(entry[part], f"{path}.")
        for part in ("properties", "fields")
        if part in entry
    }
    return {**entry, **inner}
