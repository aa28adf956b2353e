"""Hash models as ONNX graphs, and their runtime."""
