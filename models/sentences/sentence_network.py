"""BERT as an ONNX graph: numbers of word pieces in, one embedding of length 1 for each text out.

Devlin et al., "BERT: pre-training of deep bidirectional transformers for language understanding",
NAACL 2019, in the sizes of Wang et al., "MiniLM: deep self-attention distillation for task-agnostic
compression of pre-trained transformers", NeurIPS 2020; its output pooled as Reimers & Gurevych,
"Sentence-BERT: sentence embeddings using siamese BERT-networks", EMNLP 2019, do: the mean over a
text's word pieces. The numbers of layers and widths are read off the weights; how many heads there
are, which weights do not show, is given.

Input and output (n texts and the length of the longest are free):
    input_ids           (n, length)   int64
    attention_mask      (n, length)   int64, 1 where there is a word piece and 0 after a text's end
    sentence_embedding  (n, dims)     float32, of length 1
"""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from onnx import TensorProto

from ...errors import ArtifactError
from ..graphs.onnx_graph import OnnxGraph
from .sentence_encoder import IDS, LEAST_LENGTH, MASK, PER_TEXT

#: Added to the scores of what is behind a text's end: its share of attention is 0 in float32, and
#: a row of such scores alone, which no text has, would still be no NaN.
_UNSEEN = -1e9

Weights = Mapping[str, NDArray[np.float32]]


def sentence_network_to_onnx(weights: Weights, n_heads: int, epsilon: float) -> bytes:
    """Serialise the network, with pooling.

    Args:
        weights: by the names of `transformers` (`encoder.layer.0.attention.self.query.weight` …).
        n_heads: of each layer's attention.
        epsilon: of layer normalisation.

    Raises:
        ArtifactError: they are not those of a BERT, or its width is no multiple of its heads.
    """
    try:
        return _Builder(weights, n_heads, epsilon).build()
    except KeyError as error:
        raise ArtifactError(f"not the weights of a BERT: {error} is missing") from error


class _Builder:
    def __init__(self, weights: Weights, n_heads: int, epsilon: float) -> None:
        self._weights = weights
        self._graph = OnnxGraph()
        self._dims = weights["embeddings.word_embeddings.weight"].shape[1]
        if self._dims % n_heads:
            raise ArtifactError(f"{self._dims} dimensions are no multiple of {n_heads} heads")
        self._n_heads, self._epsilon = n_heads, epsilon

    def build(self) -> bytes:
        graph = self._graph
        ids = graph.input(IDS, TensorProto.INT64, ("n", "length"))
        mask = graph.input(MASK, TensorProto.INT64, ("n", "length"))
        there = graph.add("Cast", [mask], to=TensorProto.FLOAT)
        unseen = self._unseen(there)
        flow = self._embedded(ids)
        layer = 0
        while f"encoder.layer.{layer}.attention.self.query.weight" in self._weights:
            flow = self._layer(flow, f"encoder.layer.{layer}", unseen)
            layer += 1
        pooled = self._pooled(flow, there)
        graph.output(PER_TEXT, pooled, TensorProto.FLOAT, ("n", self._dims))
        return graph.serialise()

    def _unseen(self, there: str) -> str:
        """What is added to scores, (n, 1, 1, length): 0, or `_UNSEEN` behind the end."""
        graph = self._graph
        behind = graph.add("Sub", [graph.const(np.float32(1)), there])
        scores = graph.add("Mul", [behind, graph.const(np.float32(_UNSEEN))])
        return graph.add("Unsqueeze", [scores, graph.const([1, 2])])

    def _embedded(self, ids: str) -> str:
        """Embeddings of pieces and of their places, (n, length, dims).

        All of a text are of the first of BERT's two segments, so that its embedding is a part of
        the places'.
        """
        graph, weights = self._graph, self._weights
        pieces = graph.add("Gather", [graph.const(self._weight("embeddings.word_embeddings")), ids])
        segment = weights["embeddings.token_type_embeddings.weight"][0]
        places = graph.const(self._weight("embeddings.position_embeddings") + segment)
        length = graph.add("Shape", [ids], start=1, end=2)
        first = graph.add("Slice", [places, graph.const([0]), length, graph.const([0])])
        return self._normalised(graph.add("Add", [pieces, first]), "embeddings.LayerNorm")

    def _layer(self, flow: str, name: str, unseen: str) -> str:
        graph = self._graph
        seen = self._dense(self._attended(flow, name, unseen), f"{name}.attention.output.dense")
        flow = self._normalised(
            graph.add("Add", [seen, flow]), f"{name}.attention.output.LayerNorm"
        )
        inner = self._gelu(self._dense(flow, f"{name}.intermediate.dense"))
        outer = self._dense(inner, f"{name}.output.dense")
        return self._normalised(graph.add("Add", [outer, flow]), f"{name}.output.LayerNorm")

    def _attended(self, flow: str, name: str, unseen: str) -> str:
        """Each head's mean of the values, weighted by softmax(QK' / √d), (n, length, dims)."""
        graph, width = self._graph, self._dims // self._n_heads
        heads = {}
        orders = {"query": [0, 2, 1, 3], "key": [0, 2, 3, 1], "value": [0, 2, 1, 3]}
        for part, order in orders.items():
            # The scores' divisor is in the query's weights: one operator less over all pairs.
            scale = 1 / np.sqrt(width) if part == "query" else 1.0
            rows = self._dense(flow, f"{name}.attention.self.{part}", scale)
            parted = graph.add("Reshape", [rows, graph.const([0, 0, self._n_heads, width])])
            heads[part] = graph.add("Transpose", [parted], perm=order)
        scores = graph.add("Add", [graph.add("MatMul", [heads["query"], heads["key"]]), unseen])
        shares = graph.add("Softmax", [scores], axis=-1)
        means = graph.add("MatMul", [shares, heads["value"]])
        together = graph.add("Transpose", [means], perm=[0, 2, 1, 3])
        return graph.add("Reshape", [together, graph.const([0, 0, self._dims])])

    def _pooled(self, flow: str, there: str) -> str:
        """The mean over a text's pieces, brought to length 1."""
        graph = self._graph
        column = graph.add("Unsqueeze", [there, graph.const([2])])
        total = graph.add(
            "ReduceSum", [graph.add("Mul", [flow, column]), graph.const([1])], keepdims=0
        )
        # The direction of the sum is the mean's: it is not divided by the number of pieces.
        length = graph.add("ReduceL2", [total, graph.const([1])], keepdims=1)
        least = graph.add("Max", [length, graph.const(LEAST_LENGTH)])
        return graph.add("Div", [total, least])

    def _dense(self, flow: str, name: str, scale: float = 1.0) -> str:
        graph, factor = self._graph, np.float32(scale)
        weight = graph.const(self._weight(name).T * factor)
        product = graph.add("MatMul", [flow, weight])
        return graph.add("Add", [product, graph.const(self._weights[f"{name}.bias"] * factor)])

    def _normalised(self, flow: str, name: str) -> str:
        graph = self._graph
        scale, shift = (graph.const(self._weights[f"{name}.{p}"]) for p in ("weight", "bias"))
        inputs = [flow, scale, shift]
        return graph.add("LayerNormalization", inputs, axis=-1, epsilon=self._epsilon)

    def _gelu(self, flow: str) -> str:
        """Gelu, x Φ(x), with the error function as BERT has it; in the form that runtimes know."""
        graph = self._graph
        part = graph.add("Div", [flow, graph.const(np.float32(np.sqrt(2)))])
        risen = graph.add("Add", [graph.add("Erf", [part]), graph.const(np.float32(1))])
        product = graph.add("Mul", [flow, risen])
        return graph.add("Mul", [product, graph.const(np.float32(0.5))])

    def _weight(self, name: str) -> NDArray[np.float32]:
        return self._weights[f"{name}.weight"]
