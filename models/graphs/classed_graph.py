"""The ONNX graph of a hash with classes: DAsH.

Inputs and outputs (n is free):
    embedding        (n, dims)     float32
    bits             (n, n_bits)   bool
    margins          (n, n_bits)   float32, whose signs are the bits
    buckets          (n, n_tables) int64, of the most strongly activated class
    class_logits     (n, n_classes) float32
    bucket_margins   (n, n_classes, n_tables * bits_per_table) float32, of every class's tables
Bucket ids count through the buckets of a table, the tables of a class, and the classes. All runs in
float32: a bit whose margin is within 1e-5 of zero, or a class of two that are as close, is not
defined.
"""

import numpy as np
from onnx import TensorProto

from .linear_graph import embedding_and_norm, table_buckets
from .network import ClassedHash, Layer
from .network_graph import centred_direction, dense
from .onnx_graph import OnnxGraph


def classed_hash_to_onnx(fitted: ClassedHash) -> bytes:
    """Serialise the networks as an ONNX model."""
    graph = OnnxGraph()
    x, norm = embedding_and_norm(graph)
    unit_x = graph.add("Cast", [graph.add("Div", [x, norm])], to=TensorProto.FLOAT)
    centred = centred_direction(graph, unit_x, fitted.network.mean)
    zero = graph.const(np.float32(0.0))
    margins = _run(graph, centred, fitted.network.layers)
    n_bits, n_classes = fitted.network.n_bits, len(fitted.encoders)
    graph.output("margins", margins, TensorProto.FLOAT, (None, n_bits))
    graph.output("bits", graph.add("Greater", [margins, zero]), TensorProto.BOOL, (None, n_bits))
    logits = _run(graph, centred, fitted.classifier)
    graph.output("class_logits", logits, TensorProto.FLOAT, (None, n_classes))
    of_classes = graph.add("Concat", _of_each_class(graph, centred, fitted), axis=1)
    n_functions = fitted.n_tables * fitted.bits_per_table
    shape = (None, n_classes, n_functions)
    graph.output("bucket_margins", of_classes, TensorProto.FLOAT, shape)
    strongest = graph.add("ArgMax", [logits], axis=1, keepdims=1)
    own = graph.add("GatherND", [of_classes, strongest], batch_dims=1)
    tables = table_buckets(
        graph, graph.add("Greater", [own, zero]), fitted.n_tables, fitted.bits_per_table
    )
    of_a_class = graph.const(np.int64(fitted.n_buckets // n_classes))
    buckets = graph.add("Add", [tables, graph.add("Mul", [strongest, of_a_class])])
    graph.output("buckets", buckets, TensorProto.INT64, (None, fitted.n_tables))
    graph.input("embedding", TensorProto.FLOAT, (None, len(fitted.network.mean)))
    return graph.serialise()


def _of_each_class(graph: OnnxGraph, centred: str, fitted: ClassedHash) -> list[str]:
    """(n, 1, n_functions) margins of each class."""
    axis = graph.const([1])
    return [
        graph.add("Unsqueeze", [_run(graph, centred, layers), axis]) for layers in fitted.encoders
    ]


def _run(graph: OnnxGraph, flow: str, layers: tuple[Layer, ...]) -> str:
    for layer in layers:
        flow = dense(graph, flow, layer)
    return flow
