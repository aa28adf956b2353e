"""What a request costs where memory is short: meta4 beside the engine's graphs.

`python -m benchmarks.memory`; what is measured stands in `__main__`.
"""
