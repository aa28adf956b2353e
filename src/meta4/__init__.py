"""Learned hashing instead of graph indexes, for vectors in OpenSearch and Elasticsearch.

>>> from meta4 import Meta4
>>> Meta4("http://localhost:9200").search(
...     index="words",
...     body={"query": {"meta4_similar": {"embedding": {"id": "berlin", "k": 5}}}},
... )
"""

from ._version import __version__
from .adapter.client.async_meta4 import AsyncMeta4
from .adapter.client.meta4 import Meta4
from .adapter.engines.access import Access
from .adapter.engines.node import EmbeddedNode
from .errors import Meta4Error
from .ingest.documents import Document
from .ingest.hashers import DocumentHasher
from .mappings.spec import IndexSpec
from .models.model import HashModel

__all__ = [
    "Access",
    "AsyncMeta4",
    "Document",
    "DocumentHasher",
    "EmbeddedNode",
    "HashModel",
    "IndexSpec",
    "Meta4",
    "Meta4Error",
    "__version__",
]
