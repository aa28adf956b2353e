"""A text field whose shingles are hashed: its spec, its index, and how near-duplicates are scored.

Both engines write all of it alike.
"""

import numpy as np
from numpy.typing import NDArray

from ..models.kinds.minhash import MinHashSpec
from .dialect import Body, merged, nested
from .spec import FieldSpec

#: Both lists ascend, as an engine keeps longs: one walk along both.
_JACCARD = """
def own = doc[params.field];
int n = own.size(), m = params.shingles.size(), both = 0, j = 0;
for (int i = 0; i < n && j < m; ++i) {
  long shingle = own.get(i);
  while (j < m && ((Number) params.shingles.get(j)).longValue() < shingle) { ++j; }
  if (j < m && ((Number) params.shingles.get(j)).longValue() == shingle) { ++both; ++j; }
}
return both / (double) (n + m - both);
"""


class TextSpec(FieldSpec):
    """One hashed text field of one index.

    Attributes:
        field: the text field.
        minhash: how it is hashed; nothing of it lies in the model store.
    """

    kind = "texts"

    minhash: MinHashSpec


def text_index_body(spec: TextSpec, *, shards: int, replicas: int) -> Body:
    """Settings and mapping of `PUT /index`."""
    hashes = {
        "dynamic": False,
        "properties": {
            "bucket": {"type": "keyword"},
            "model": {"type": "keyword"},
            "shingle": {"type": "long", "index": False},
        },
    }
    text = nested(spec.field, {"type": "text"})
    return {
        "settings": {"index": {"number_of_shards": shards, "number_of_replicas": replicas}},
        "mappings": {
            "_meta": spec.to_meta(),
            "properties": merged(text, nested(spec.fields.root, hashes)),
        },
    }


def jaccard_query(spec: TextSpec, shingles: NDArray[np.int64], within: list[Body]) -> Body:
    """What is in `within` and has shingles, scored by Jaccard similarity, in [0, 1].

    Args:
        spec: of the index.
        shingles: (m,) int64, ascending.
        within: filters.
    """
    params = {"field": spec.fields.shingle, "shingles": shingles.tolist()}
    conditions = [{"exists": {"field": spec.fields.shingle}}, *within]
    return {
        "script_score": {
            "query": {"bool": {"filter": conditions}},
            "script": {"lang": "painless", "source": _JACCARD, "params": params},
        }
    }
