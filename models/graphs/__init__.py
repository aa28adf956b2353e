"""Hash models as ONNX graphs, and what runs them."""
