"""Slow references in plain NumPy and plain Python: what the fast code must agree with."""

import numpy as np


def reference_bits(weights, x):
    """Code bits of one float32 vector, row by row."""
    x = np.asarray(x, dtype=np.float64)
    length = np.sqrt((x * x).sum())
    margins = [
        float(row.astype(np.float64) @ x - offset * length)
        for row, offset in zip(weights.code_rows, weights.code_offsets, strict=True)
    ]
    return np.array([margin > 0 for margin in margins])


def reference_buckets(weights, x):
    """Bucket ids of one float32 vector, by the definitions in `models/graphs/grid.py` and SOAR."""
    x = np.asarray(x, dtype=np.float64)
    length = np.sqrt((x * x).sum())
    rows = weights.bucket_rows.astype(np.float64)
    if weights.bucket_kind == "bits":
        bits = rows @ x - weights.bucket_offsets * length > 0
        per_table = len(bits) // weights.n_tables
        ids = []
        for table in range(weights.n_tables):
            number = 0
            for bit in bits[table * per_table : (table + 1) * per_table]:
                number = 2 * number + int(bit)
            ids.append(number + table * 2**per_table)
        return ids
    u = x / length
    centroids = rows * weights.scale
    first = int(np.argmax(centroids @ u))
    residual = u - centroids[first]
    direction = residual / np.linalg.norm(residual)
    losses = [
        np.sum((u - c) ** 2) + weights.soar_lambda * float((u - c) @ direction) ** 2
        for c in centroids
    ]
    losses[first] = np.inf
    return [first, int(np.argmin(losses))]


def reference_hamming(a, b):
    return sum(bin(x ^ y).count("1") for x, y in zip(a.tolist(), b.tolist(), strict=True))


def reference_probe_order(weights, x, plan):
    """Buckets of one table of bits in the order of Algorithm 1 (levels) or of multi-probe."""
    x = np.asarray(x, dtype=np.float64)
    length = np.linalg.norm(x)
    rows = weights.bucket_rows.astype(np.float64)
    margins = rows @ x / length - weights.bucket_offsets
    n_bits = len(margins)
    costs = {}
    for bucket in range(2**n_bits):
        cost = 0.0
        for position in range(n_bits):
            bit = (bucket >> (n_bits - 1 - position)) & 1
            if bit != int(margins[position] > 0):
                flip = (margins[position] / np.linalg.norm(rows[position])) ** 2
                cost += 1.0 if plan == "bitwise" else flip
        costs[bucket] = cost
    return costs
