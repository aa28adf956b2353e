"""Training hash networks with torch, which lives here alone; what a search needs is ONNX."""
