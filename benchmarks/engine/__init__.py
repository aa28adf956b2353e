"""What a request costs a user: meta4 beside the engine's own vector indexes, in one run.

`python -m benchmarks.engine`; what is measured stands in `__main__`.
"""
