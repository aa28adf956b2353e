"""Slow references in plain NumPy and plain Python: what the fast code must agree with."""

import numpy as np


def in_order(numbers):
    total = 0.0
    for number in numbers:
        total += number
    return total


def dot(row, x):
    """As `models/graphs/grid.py` adds it up."""
    products = [float(a) * float(b) for a, b in zip(row.tolist(), x.tolist(), strict=True)]
    return in_order(in_order(products[i : i + 4]) for i in range(0, len(products), 4))


def length(x):
    return np.sqrt(in_order((x * x).tolist()))


def reference_bits(weights, x):
    """Code bits of one float32 vector, row by row."""
    x = np.asarray(x, dtype=np.float64)
    norm = length(x)
    pairs = zip(weights.code_rows, weights.code_offsets, strict=True)
    return np.array([dot(row, x) - offset * norm > 0 for row, offset in pairs])


def reference_buckets(weights, x):
    """Bucket ids of one float32 vector, by the definitions in `models/graphs/grid.py` and SOAR."""
    x = np.asarray(x, dtype=np.float64)
    norm = length(x)
    products = [dot(row, x) for row in weights.bucket_rows]
    if weights.bucket_kind == "bits":
        bits = np.array(products) - weights.bucket_offsets * norm > 0
        per_table = len(bits) // weights.n_tables
        ids = []
        for table in range(weights.n_tables):
            number = 0
            for bit in bits[table * per_table : (table + 1) * per_table]:
                number = 2 * number + int(bit)
            ids.append(number + table * 2**per_table)
        return ids
    scale = weights.scale
    cosines = [product * scale / norm for product in products]
    first = cosines.index(max(cosines))
    residual = x / norm - weights.bucket_rows[first] * scale
    direction = residual / max(length(residual), 1e-300)
    along = in_order((direction * x / norm).tolist())
    losses = []
    for row, cosine in zip(weights.bucket_rows, cosines, strict=True):
        squares = 1.0 + np.square(row * scale).sum()
        across = along - dot(row, direction) * scale
        losses.append(squares - 2.0 * cosine + weights.soar_lambda * across * across)
    losses[first] = np.inf
    return [first, losses.index(min(losses))]


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
