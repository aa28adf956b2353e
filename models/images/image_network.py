"""EfficientNet-Lite as an ONNX graph: images in, features of the last convolutional layer out.

Tan & Le, "EfficientNet: rethinking model scaling for convolutional neural networks", ICML 2019, in
its Lite variant: no squeeze-and-excitation, ReLU6, stem and head not scaled. The numbers of blocks,
channels and kernels are read off the weights; strides, which weights do not show, are the paper's.

Input and output (n, height and width are free):
    image        (n, height, width, 3)  uint8
    features     (n, n_channels)        float32, the mean over the last layer's places
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import TensorProto

from ...errors import ArtifactError
from ..graphs.onnx_graph import OnnxGraph

#: Of each stage's first block; a stage ends where the number of channels changes.
_STRIDES = (1, 2, 2, 2, 1, 2, 1)
#: What the networks were trained with: (image - 127) / 128, and batch norm's epsilon.
_MEAN, _DEVIATION, _EPSILON = 127.0, 128.0, 1e-3

Weights = Mapping[str, NDArray[np.float32]]


def image_network_to_onnx(weights: Weights) -> bytes:
    """Serialise the network, without its classes.

    Args:
        weights: by the names of the PyTorch port (`_blocks.0._depthwise_conv.weight` …).

    Raises:
        ArtifactError: they are not those of an EfficientNet-Lite.
    """
    try:
        return _Builder(weights).build()
    except (KeyError, IndexError) as error:
        raise ArtifactError(
            f"not the weights of an EfficientNet-Lite: {error} is missing"
        ) from error


class _Builder:
    def __init__(self, weights: Weights) -> None:
        self._weights = weights
        self._graph = OnnxGraph()

    def build(self) -> bytes:
        graph = self._graph
        image = graph.input("image", TensorProto.UINT8, (None, None, None, 3))
        numbers = graph.add("Cast", [image], to=TensorProto.FLOAT)
        centred = graph.add("Sub", [numbers, graph.const(np.float32(_MEAN))])
        scaled = graph.add("Div", [centred, graph.const(np.float32(_DEVIATION))])
        flow = graph.add("Transpose", [scaled], perm=[0, 3, 1, 2])
        flow = self._convolution(flow, "_conv_stem", "_bn0", stride=2)
        channels, stage = 0, -1
        for name in self._blocks():
            before, channels = channels, len(self._weights[f"{name}_project_conv.weight"])
            stage += before != channels
            stride = _STRIDES[stage] if before != channels else 1
            flow = self._block(flow, name, stride, residual=before == channels)
        flow = self._convolution(flow, "_conv_head", "_bn1")
        pooled = graph.add("ReduceMean", [flow, graph.const([2, 3])], keepdims=0)
        n_features = len(self._weights["_conv_head.weight"])
        graph.output("features", pooled, TensorProto.FLOAT, (None, n_features))
        return graph.serialise()

    def _blocks(self) -> list[str]:
        """Prefixes of the blocks' weights, in order."""
        n = sum(name.endswith("_project_conv.weight") for name in self._weights)
        return [f"_blocks.{i}." for i in range(n)]

    def _block(self, flow: str, name: str, stride: int, *, residual: bool) -> str:
        """Widen, filter each channel by itself, narrow: an inverted residual block."""
        entry = flow
        if f"{name}_expand_conv.weight" in self._weights:
            flow = self._convolution(flow, f"{name}_expand_conv", f"{name}_bn0")
        flow = self._convolution(flow, f"{name}_depthwise_conv", f"{name}_bn1", stride=stride)
        flow = self._convolution(flow, f"{name}_project_conv", f"{name}_bn2", clipped=False)
        return self._graph.add("Add", [flow, entry]) if residual else flow

    def _convolution(
        self, flow: str, name: str, norm: str, *, stride: int = 1, clipped: bool = True
    ) -> str:
        """A convolution with its batch norm folded in, and ReLU6 after it."""
        graph = self._graph
        kernel = self._weights[f"{name}.weight"].astype(np.float64)
        mean, variance, scale, shift = (
            self._weights[f"{norm}.{part}"].astype(np.float64)
            for part in ("running_mean", "running_var", "weight", "bias")
        )
        factor = scale / np.sqrt(variance + _EPSILON)
        weight = graph.const((kernel * factor[:, None, None, None]).astype(np.float32))
        bias = graph.const((shift - mean * factor).astype(np.float32))
        attributes: dict[str, Any] = {
            "group": len(kernel) if kernel.shape[1] == 1 else 1,
            "strides": [stride, stride],
            "auto_pad": "SAME_UPPER",  # as TensorFlow pads
        }
        flow = graph.add("Conv", [flow, weight, bias], **attributes)
        if not clipped:
            return flow
        return graph.add("Clip", [flow, *(graph.const(np.float32(v)) for v in (0.0, 6.0))])
