"""Real texts, some of them near-duplicates, and indexes of them."""

import json
import subprocess
import textwrap

import numpy as np
import pytest

from meta4 import Document
from meta4.adapter.manage.indexes import create_index
from meta4.mappings.texts import TextSpec
from meta4.models.kinds.minhash import MinHashSpec

SPEC = MinHashSpec()
TEXTS = TextSpec(field="body.text", minhash=SPEC)


def stdlib_texts():
    """Real texts that every machine has: what modules of the standard library say of themselves."""
    found = []
    for module in (json, subprocess, textwrap, np, pytest):
        for name in sorted(dir(module)):
            text = getattr(getattr(module, name, None), "__doc__", None)
            if isinstance(text, str) and len(text) > 200:
                found.append(text[:2000])
    return list(dict.fromkeys(found))


def text_documents(texts):
    for row, text in enumerate(texts):
        yield Document(str(row), {"body": {"text": text}, "third": row % 3})


def create_text_index(engine, index, spec):
    create_index(engine, index, field=spec.field, ref=spec.minhash, model=spec.minhash)
