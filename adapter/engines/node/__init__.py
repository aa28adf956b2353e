"""The embedded node: a real OpenSearch with k-NN, fetched, started and stopped by meta4."""

from .node import EmbeddedNode, NodeStatus, running_url

__all__ = ["EmbeddedNode", "NodeStatus", "running_url"]
