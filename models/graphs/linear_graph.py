"""The ONNX graph of a linear hash: what `meta4.models.graphs.grid` defines, in float64 operators.

It is the model's file, for readers that have onnxruntime alone. It adds in an order of its own,
so that two cells, or a margin and zero, that are within 1e-16 may be decided otherwise than
`linear_hash.py` does.

Inputs and outputs (n is free):
    embedding        (n, dims)     float32
    bits             (n, n_bits)   bool
    buckets          (n, per_doc)  int64
    bucket_margins   (n, n_rows)   float64, where buckets are made of bits: signed distances of
                                   the direction to the buckets' hyperplanes
and the weights themselves as constant outputs, so that a reader needs onnxruntime alone:
    centroids, bucket_rows, bucket_offsets, code_rows, code_offsets, scale, n_tables, soar_lambda
"""

import numpy as np
from numpy.typing import NDArray
from onnx import TensorProto

from .grid import GridWeights
from .onnx_graph import OnnxGraph

_TINY = 1e-300
_NEVER = 1e300


def linear_hash_to_onnx(weights: GridWeights) -> bytes:
    """Serialise `weights` as an ONNX model."""
    graph = OnnxGraph()
    add_linear_hash(graph, weights)
    graph.input("embedding", TensorProto.FLOAT, (None, weights.bucket_rows.shape[1]))
    return graph.serialise()


def add_linear_hash(graph: OnnxGraph, weights: GridWeights) -> str:
    """Everything that the module's docstring names; gives the (n, dims) float64 directions."""
    x, norm = embedding_and_norm(graph)
    unit_x = graph.add("Div", [x, norm])
    code = _margins(graph, x, norm, weights.code_rows, weights.code_offsets)
    bits = graph.add("Greater", [code, graph.const(0.0)])
    graph.output("bits", bits, TensorProto.BOOL, (None, len(weights.code_rows)))
    if weights.bucket_kind == "bits":
        margin = _margins(graph, x, norm, weights.bucket_rows, weights.bucket_offsets)
        buckets = table_buckets(
            graph,
            graph.add("Greater", [margin, graph.const(0.0)]),
            weights.n_tables,
            weights.bits_per_table,
        )
        lengths = np.linalg.norm(weights.bucket_rows.astype(np.float64), axis=1)
        distance = graph.add("Div", [graph.add("Div", [margin, norm]), graph.const(lengths)])
        graph.output("bucket_margins", distance, TensorProto.DOUBLE, (None, len(lengths)))
    else:
        buckets = cell_buckets(graph, unit_x, weights)
    graph.output("buckets", buckets, TensorProto.INT64, (None, None))
    for name, value, kind in (
        ("centroids", weights.centroids, TensorProto.FLOAT),
        ("bucket_rows", weights.bucket_rows, TensorProto.INT16),
        ("bucket_offsets", weights.bucket_offsets, TensorProto.DOUBLE),
        ("code_rows", weights.code_rows, TensorProto.INT16),
        ("code_offsets", weights.code_offsets, TensorProto.DOUBLE),
        ("scale", np.float64(weights.scale), TensorProto.DOUBLE),
        ("n_tables", np.int64(weights.n_tables), TensorProto.INT64),
        ("soar_lambda", np.float64(weights.soar_lambda), TensorProto.DOUBLE),
    ):
        graph.output(name, graph.const(value), kind, np.shape(value))
    return unit_x


def embedding_and_norm(graph: OnnxGraph) -> tuple[str, str]:
    """The input in float64, and its (n, 1) lengths."""
    x = graph.add("Cast", ["embedding"], to=TensorProto.DOUBLE)
    squares = graph.add("Mul", [x, x])
    norm = graph.add("Sqrt", [graph.add("ReduceSum", [squares, graph.const([1])], keepdims=1)])
    return x, norm


def _margins(
    graph: OnnxGraph, x: str, norm: str, rows: NDArray[np.int16], offsets: NDArray[np.float64]
) -> str:
    products = graph.add("MatMul", [x, _transposed(graph, _as_double(graph, rows))])
    return graph.add("Sub", [products, graph.add("Mul", [norm, graph.const(offsets)])])


def _as_double(graph: OnnxGraph, rows: NDArray[np.int16]) -> str:
    """The rows stay int16 in the file; onnxruntime folds the cast when it loads the model."""
    return graph.add("Cast", [graph.const(rows)], to=TensorProto.DOUBLE)


def _transposed(graph: OnnxGraph, matrix: str) -> str:
    return graph.add("Transpose", [matrix], perm=[1, 0])


def table_buckets(graph: OnnxGraph, bits: str, n_tables: int, bits_per_table: int) -> str:
    """Bucket ids of the tables' bits; see `meta4.models.statistics.table_buckets`."""
    numbers = graph.add("Cast", [bits], to=TensorProto.DOUBLE)
    tables = graph.add("Reshape", [numbers, graph.const([-1, n_tables, bits_per_table])])
    powers = 2.0 ** np.arange(bits_per_table - 1, -1, -1)
    ids = graph.add(
        "Cast", [graph.add("MatMul", [tables, graph.const(powers)])], to=TensorProto.INT64
    )
    first_ids = np.arange(n_tables, dtype=np.int64) << bits_per_table
    return graph.add("Add", [ids, graph.const(first_ids)])


def cell_buckets(graph: OnnxGraph, unit_x: str, weights: GridWeights) -> str:
    """The nearest cell and SOAR's second.

    Each pass over a batch's (n, n_buckets) products costs time: so factors of two move into
    the table, where they are exact, and λ = 1 is left out.
    """
    rows = _as_double(graph, weights.bucket_rows)
    table = graph.add("Mul", [rows, graph.const(weights.scale)])
    doubled = _transposed(graph, graph.add("Mul", [rows, graph.const(2.0 * weights.scale)]))
    cosine_twice = graph.add("MatMul", [unit_x, doubled])
    first = graph.add("ArgMax", [cosine_twice], axis=1, keepdims=1)
    nearest = graph.add("Gather", [table, graph.add("Squeeze", [first, graph.const([1])])], axis=0)
    residual = graph.add("Sub", [unit_x, nearest])
    squares = graph.add("Mul", [residual, residual])
    length = graph.add("Sqrt", [graph.add("ReduceSum", [squares, graph.const([1])], keepdims=1)])
    direction = graph.add("Div", [residual, graph.add("Max", [length, graph.const(_TINY)])])
    along_x = graph.add(
        "ReduceSum", [graph.add("Mul", [unit_x, direction]), graph.const([1])], keepdims=1
    )
    half = graph.add("Mul", [direction, graph.const(0.5)])
    along = graph.add("Sub", [along_x, graph.add("MatMul", [half, doubled])])
    penalty = graph.add("Mul", [along, along])
    if weights.soar_lambda != 1.0:
        penalty = graph.add("Mul", [penalty, graph.const(weights.soar_lambda)])
    constant = graph.const(weights.loss_constants)
    loss = graph.add("Add", [graph.add("Sub", [constant, cosine_twice]), penalty])
    never = graph.add("Expand", [graph.const(_NEVER), graph.add("Shape", [first])])
    others = graph.add("ScatterElements", [loss, first, never], axis=1)
    second = graph.add("ArgMin", [others], axis=1, keepdims=1)
    return graph.add("Concat", [first, second], axis=1)
