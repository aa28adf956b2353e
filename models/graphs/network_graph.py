"""The ONNX graph of a hash network.

Inputs and outputs (n is free):
    embedding        (n, dims)     float32
    bits             (n, n_bits)   bool
    buckets          (n, per_doc)  int64
    margins          (n, n_bits)   float32, whose signs are the bits
    bucket_margins   (n, n_bits)   float64, where the code is the bucket: the same numbers
    centroids        (n_buckets, dims) float32, constant
The network runs in float32, and another processor may add in another order: a bit whose margin
is within 1e-5 of zero is not defined.
"""

import numpy as np
from numpy.typing import NDArray
from onnx import TensorProto

from .grid import GridWeights
from .linear_graph import add_linear_hash, cell_buckets, embedding_and_norm, table_buckets
from .network import LEAKY_SLOPE, Layer, Network, NetworkHash, Router
from .onnx_graph import OnnxGraph

_TINY = 1e-30


def network_hash_to_onnx(fitted: NetworkHash) -> bytes:
    """Serialise a network and its buckets as an ONNX model."""
    graph = OnnxGraph()
    x, norm = embedding_and_norm(graph)
    unit_x = graph.add("Div", [x, norm])
    n_bits = fitted.network.n_bits
    margins = _margins(graph, graph.add("Cast", [unit_x], to=TensorProto.FLOAT), fitted.network)
    bits = graph.add("Greater", [margins, graph.const(np.float32(0.0))])
    graph.output("margins", margins, TensorProto.FLOAT, (None, n_bits))
    graph.output("bits", bits, TensorProto.BOOL, (None, n_bits))
    if fitted.cells is None:
        doubles = graph.add("Cast", [margins], to=TensorProto.DOUBLE)
        graph.output("bucket_margins", doubles, TensorProto.DOUBLE, (None, n_bits))
        buckets = table_buckets(graph, bits, 1, n_bits)
    else:
        buckets = cell_buckets(graph, unit_x, fitted.cells)
    graph.output("buckets", buckets, TensorProto.INT64, (None, None))
    centroids = graph.const(fitted.centroids)
    graph.output("centroids", centroids, TensorProto.FLOAT, fitted.centroids.shape)
    graph.input("embedding", TensorProto.FLOAT, (None, len(fitted.network.mean)))
    return graph.serialise()


def routed_hash_to_onnx(weights: GridWeights, router: Router) -> bytes:
    """Serialise a linear hash, and a router's weights as constant outputs.

    `router_weight_0`, `router_bias_0` and so on, the output layer last. The graph does not run
    the router: documents are hashed without it.
    """
    graph = OnnxGraph()
    add_linear_hash(graph, weights)
    for i, layer in enumerate((*router.hidden, router.output)):
        for name, value in (("weight", layer.weight), ("bias", layer.bias)):
            constant = graph.const(value)
            graph.output(f"router_{name}_{i}", constant, TensorProto.FLOAT, value.shape)
    graph.input("embedding", TensorProto.FLOAT, (None, weights.bucket_rows.shape[1]))
    return graph.serialise()


def _margins(graph: OnnxGraph, unit_x: str, network: Network) -> str:
    flow = centred_direction(graph, unit_x, network.mean)
    for layer in network.layers:
        flow = dense(graph, flow, layer)
    return flow


def centred_direction(graph: OnnxGraph, unit_x: str, mean: NDArray[np.float32]) -> str:
    """(n, dims) float32 directions about the mean, again of length 1."""
    centred = graph.add("Sub", [unit_x, graph.const(mean)])
    squares = graph.add("Mul", [centred, centred])
    norm = graph.add("Sqrt", [graph.add("ReduceSum", [squares, graph.const([1])], keepdims=1)])
    return graph.add("Div", [centred, graph.add("Max", [norm, graph.const(np.float32(_TINY))])])


def dense(graph: OnnxGraph, flow: str, layer: Layer) -> str:
    """One dense layer with its activation."""
    weight, bias = graph.const(layer.weight), graph.const(layer.bias)
    flow = graph.add("Gemm", [flow, weight, bias], transB=1)
    if layer.activation == "relu":
        return graph.add("Relu", [flow])
    if layer.activation == "leaky_relu":
        return graph.add("LeakyRelu", [flow], alpha=LEAKY_SLOPE)
    return flow
