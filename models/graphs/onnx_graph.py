"""Writing ONNX graphs: nodes and constants get their names here."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

#: What onnxruntime 1.19, the oldest that we allow, reads.
_OPSET, _IR_VERSION = 18, 9


class OnnxGraph:
    """Collects inputs, nodes and constants, naming what flows between them."""

    def __init__(self) -> None:
        self._inputs: list[Any] = []
        self._nodes: list[Any] = []
        self._constants: list[Any] = []
        self._outputs: list[Any] = []

    def input(self, name: str, element_type: int, shape: tuple[int | str | None, ...]) -> str:
        """What is given under a name of its own; gives the name.

        Args:
            name: of the input.
            element_type: of its numbers.
            shape: None where it is free, or a name where it is the same in several inputs.
        """
        self._inputs.append(helper.make_tensor_value_info(name, element_type, shape))
        return name

    def add(self, operator: str, inputs: list[str], **attributes: Any) -> str:
        """A node with one output; gives the output's name."""
        name = f"v{len(self._nodes)}"
        self._nodes.append(helper.make_node(operator, inputs, [name], **attributes))
        return name

    def const(self, value: Any) -> str:
        """A constant of the value's own type; gives its name."""
        array = np.asarray(value)
        name = f"c{len(self._constants)}"
        self._constants.append(
            numpy_helper.from_array(np.ascontiguousarray(array).reshape(array.shape), name)
        )
        return name

    def output(
        self, name: str, source: str, element_type: int, shape: tuple[int | str | None, ...]
    ) -> None:
        """Give `source` out under a name of its own."""
        self._nodes.append(helper.make_node("Identity", [source], [name]))
        self._outputs.append(helper.make_tensor_value_info(name, element_type, shape))

    def serialise(self) -> bytes:
        """The model's file, checked."""
        parts = self._inputs, self._outputs, self._constants
        graph = helper.make_graph(self._nodes, "meta4", *parts)
        model = helper.make_model(
            graph, opset_imports=[helper.make_opsetid("", _OPSET)], ir_version=_IR_VERSION
        )
        onnx.checker.check_model(model)
        serialised: bytes = model.SerializeToString()
        return serialised


def with_constants(onnx_bytes: bytes, constants: Mapping[str, Any]) -> bytes:
    """A model's file with further outputs, each a constant of its value's own type."""
    model = onnx.load_from_string(onnx_bytes)
    for name, value in constants.items():
        array = np.asarray(value)
        model.graph.initializer.append(numpy_helper.from_array(array, f"{name}_value"))
        model.graph.node.append(helper.make_node("Identity", [f"{name}_value"], [name]))
        kind = helper.np_dtype_to_tensor_dtype(array.dtype)
        model.graph.output.append(helper.make_tensor_value_info(name, kind, array.shape))
    onnx.checker.check_model(model)
    serialised: bytes = model.SerializeToString()
    return serialised
