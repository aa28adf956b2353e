"""How many hash functions and tables LSH needs, read off the fractal dimension (DAsH, 3.1)."""

from math import ceil, exp, log
from typing import NamedTuple

#: A table's bucket has two bits at least, or one table would be all that equation L gives.
_LEAST_FUNCTIONS = 2


class LshTuning(NamedTuple):
    """What equations 4 and 6 give.

    Attributes:
        log_scales: log(R / r), natural: how far the scale of k neighbours lies below that of all.
        functions: m, hash functions of a table.
        tables: L.
    """

    log_scales: float
    functions: int
    tables: int


def tune_lsh(dimension: float, n: int, k: int) -> LshTuning:
    """Functions and tables for the k nearest of n vectors.

    Where the paper leaves room, it is read so:

    - Equation 4, r = R exp((log Pairs(k) - log Pairs(N)) / D): Pairs(k) are the n k / 2 pairs of
      vectors and their k nearest, Pairs(N) all n (n - 1) / 2, and R is the scale at which the
      line through the counts has them all.
    - Equation 6, m = ceil(D + 1) log(r): the logarithm of a length depends on its unit, and is
      negative for data brought to [0, 1]. What does not is how far r lies below R, so log(r) is
      taken as log(R / r), natural as the exponential in equation 4. For large D this is log(n / k),
      with which a bucket of m bits holds a few times k vectors: each of several tables then
      brings a part of the k nearest.
    - L = m (m - 1) / 2: in E2LSH m counts half-length functions, whose pairs are its tables; the
      paper takes the formula with m the number of functions, and so is it here.

    Args:
        dimension: D, positive.
        n: vectors in the tables, more than k.
        k: neighbours wanted.
    """
    log_scales = log((n - 1) / k) / dimension
    m = max(_LEAST_FUNCTIONS, round(ceil(dimension + 1) * log_scales))
    return LshTuning(log_scales, m, m * (m - 1) // 2)


def radius(scale: float, tuning: LshTuning) -> float:
    """The radius r of equation 4, in the units of R.

    Args:
        scale: R, the scale at which all pairs are near.
        tuning: of the same data.
    """
    return scale * exp(-tuning.log_scales)
