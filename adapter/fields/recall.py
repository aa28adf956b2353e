"""How much of what is to be found was found."""

import numpy as np
from numpy.typing import NDArray

#: Scores of the same pair differ by no more than this between scoring paths (float32).
SCORE_TOLERANCE = 1e-6


def recall_by_score(found: NDArray[np.float64], truth: NDArray[np.float64], k: int) -> float:
    """recall@k with ties counted by score: an answer as near as the k-th nearest is right.

    Args:
        found: (m,) scores of what was found, of which the first k count.
        truth: (n,) scores of the nearest documents, best first.
        k: results wanted; with fewer documents in all, all of them.
    """
    wanted = min(k, len(truth))
    if wanted == 0:
        return 1.0
    right = int((found[:k] >= truth[wanted - 1] - SCORE_TOLERANCE).sum())
    return min(right, wanted) / wanted
