"""Hashed fields whose values are drawn by chance, each with its own oracle."""

from abc import ABC, abstractmethod

import numpy as np

from meta4 import HashModel
from meta4.adapter.fields.field import Options
from meta4.adapter.fields.kinds import new_field
from meta4.adapter.model_store import ModelStore
from meta4.ingest.documents import value_at
from meta4.models.kinds.minhash import MinHasher, MinHashSpec, as_longs
from meta4.models.specs import CellsSpec

from .vectors import unit

DIMS = 8


class DrawnField(ABC):
    """What a world's documents have in one hashed field.

    Attributes:
        name: of the field.
        may_be_short: whether a clause below recall 1 may find fewer than k.
    """

    name: str
    may_be_short = False

    def put(self, source, value):
        """Into a document."""
        *path, last = self.name.split(".")
        for key in path:
            source = source.setdefault(key, {})
        source[last] = value

    @abstractmethod
    def new(self, engine, strategy):
        """The field, as an index is made with it."""

    @abstractmethod
    def draw(self, rng, like=None):
        """A document's value; one that ties or is near `like`, if there is one."""

    @abstractmethod
    def read(self, source):
        """What the oracle compares, of a document that can be an answer; None of another."""

    @abstractmethod
    def operand(self, value):
        """A clause's, of such a value."""

    @abstractmethod
    def scores(self, clause, values):
        """By the definition; `clause` has no `id`, `values` are as read."""

    @abstractmethod
    def script(self, clause, dialect):
        """The same as a script, and its parameters."""


class DrawnVectors(DrawnField):
    """Analogies too."""

    name = "v"

    def __init__(self):
        rng = np.random.default_rng(7)
        spec = CellsSpec(n_bits=32, n_buckets=16, seed=1, iterations=3)
        self.model = HashModel.fit(spec, rng.standard_normal((800, DIMS)).astype(np.float32))

    def new(self, engine, strategy):
        ref = ModelStore(engine).push("differential", self.model)
        options = Options(strategy=strategy, hashing="client")
        return new_field(engine, self.name, ref, self.model, options)

    def draw(self, rng, like=None):
        return rng.standard_normal(DIMS).astype(np.float32).tolist() if like is None else like

    def read(self, source):
        value = source.get(self.name)
        return None if value is None else np.asarray(value, dtype=np.float64)

    def operand(self, value):
        return {"vector": np.asarray(value).tolist()}

    def scores(self, clause, values):
        rows = unit(np.stack(values))
        if clause.get("method") == "3cosmul":
            a, b, c = ((1 + rows @ self._unit(clause[x])) / 2 for x in "abc")
            return b * c / (a + 0.001)
        return (1 + rows @ self._target(clause)) / 2

    def script(self, clause, dialect):
        def cosine(name):
            return f"(1.0 + cosineSimilarity(params.{name}, {dialect.script_field})) / 2.0"

        params = {"field": self.name, "target": self._target(clause).tolist()}
        # Under a `min_score` an engine may score what does not match.
        source = f"doc[params.field].size() == 0 ? 0.0 : {cosine('target')}"
        if clause.get("method") == "3cosmul":
            params |= {x: clause[x]["vector"] for x in "abc"}
            each = "".join(f"double {x} = {cosine(x)}; " for x in "abc")
            source = f"{each}return b * c / (a + 0.001);"
            source = f"if (doc[params.field].size() == 0) {{ return 0; }} {source}"
        return source, params

    def _unit(self, operand):
        return operand["vector"] / np.linalg.norm(operand["vector"])

    def _target(self, clause):
        if "a" not in clause:
            return self._unit(clause)
        a, b, c = (self._unit(clause[x]) for x in "abc")
        target = b - a + c
        return target / np.linalg.norm(target)


class DrawnTexts(DrawnField):
    """Sets of substrings, by Python's own sets."""

    name = "words.said"
    may_be_short = True
    minhash = MinHashSpec(shingle=3, bands=12, rows=2)
    _syllables = ("ka", "lo", "mi", "te", "ru", "sa")

    def new(self, engine, strategy):
        return new_field(engine, self.name, self.minhash, self.minhash, Options())

    def draw(self, rng, like=None):
        words = ["".join(rng.choice(self._syllables, 3)) for _ in range(8)]
        if like is not None:
            words = like.split()
            if rng.random() < 0.7:
                words[rng.integers(len(words))] = "".join(rng.choice(self._syllables, 3))
        return " ".join(words)

    def read(self, source):
        """No request finds what is not hashed."""
        hashed = value_at(source, f"meta4.{self.name}")
        return value_at(source, self.name) if hashed is not None else None

    def operand(self, value):
        return {"text": value}

    def scores(self, clause, values):
        asked = self._set(clause["text"])
        sets = [self._set(value) for value in values]
        return np.asarray([len(asked & own) / len(asked | own) for own in sets])

    def script(self, clause, dialect):
        shingles = as_longs(MinHasher(self.minhash).shingles(clause["text"])).tolist()
        source = (
            "int both = 0; for (def own : doc[params.field]) { if (params.asked.contains(own)) "
            "{ ++both; } } return both / (double) (doc[params.field].size() + params.n - both);"
        )
        params = {"field": f"meta4.{self.name}.shingle", "asked": shingles, "n": len(shingles)}
        return source, params

    def _set(self, text):
        size = self.minhash.shingle
        return {text[i : i + size] for i in range(len(text) - size + 1)}


VECTORS, TEXTS = DrawnVectors(), DrawnTexts()
