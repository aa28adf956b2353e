"""Vectors in another index: of another model or other embeddings, or in another cluster."""

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np

from ....errors import InputError
from ....ingest.embedding import text_in
from ....ingest.files.new_embeddings import NewEmbeddings
from ....mappings.spec import BoundEncoder, FirstPhase, ModelRef
from ....models.embeddings import Progress, as_embedding, unit
from ....models.model import HashModel
from ....models.probing.ranking import default_plan
from ....models.specs import CellsSpec, cells_for
from ...engines.calls import Json
from ...engines.engine import Engine
from ...model_store import ModelStore
from ..field import Field
from ..succession import Change, Succession
from .encoding import EncoderChange, check_encoder, without_text
from .first_phase import directions_for
from .hashers import NAMED, EmbeddingChange, KeptHashes
from .tuning.sample import sample_hashed

if TYPE_CHECKING:
    from .field import VectorField

#: Numbers and vectors that a model is trained on, at most, and vectors for each of its cells.
_TRAINED_ON, _MOST_TRAINED_ON, _A_CELL = 60_000_000, 1_000_000, 8
#: Which are drawn.
_SEED = 0
#: Of a vector with its copy: engines keep float32, OpenSearch directions only.
_SAME_COSINE = 1.0 - 1e-5


class VectorSuccession(Succession):
    """See `Succession`."""

    keeps_mapping = False

    def __init__(self, field: "VectorField") -> None:
        self._field = field
        self._spec = field.spec

    def check_takes_embeddings(self) -> None:
        """See `Succession`: it does."""

    def check_can_embed(self, engine: Engine, index: str, encoder: BoundEncoder) -> None:
        """See `Succession`. By what documents say: not every field can be asked for."""
        body = {"query": {"exists": {"field": self._spec.field}}, "_source": [encoder.source]}
        n, first = 0, list[str]()
        for hit in engine.scan(index, body):
            if text_in(hit.get("_source", {}), encoder.source) is None:
                n += 1
                first = [*first, hit["_id"]][:NAMED]
        if n:
            raise without_text(n, first, encoder)

    def rehashed(
        self,
        engine: Engine,
        ref: ModelRef,
        model: HashModel,
        new_dims: int | None,
        encoder: BoundEncoder | None = None,
    ) -> "VectorField":
        """See `Succession`."""
        self._field.check_model(ref, model)
        before = self._spec
        if encoder is not None:
            check_encoder(encoder, before.field, model)
            new_dims = model.dims
        elif before.encoder is not None and new_dims is not None:
            raise InputError(
                f"--vectors: the index's vectors are made by the encoder {before.encoder.name}, "
                f"and those that come later would be of another kind than the file's; name the "
                f"encoder that made these with --embedder, in place of --vectors"
            )
        dims = before.dims if new_dims is None else new_dims
        if model.dims != dims:
            raise InputError(
                f"model {ref} hashes {model.dims} dimensions, and the vectors have {dims}"
            )
        plan, former = before.plan, engine.run(self._field.model())
        if model.bucket_kind != former.bucket_kind:
            plan = default_plan(model.bucket_kind)
        has_none = not before.sketch and former.manifest.sketch_windows
        first_phase: FirstPhase = "none" if has_none else "auto"
        changes = {
            "model": ref,
            "dims": model.dims,
            "n_bits": model.manifest.n_bits,
            "n_buckets": model.n_buckets,
            "plan": plan,
            **engine.dialect.parts_now(has_home=model.has_home),
            "sketch": directions_for(model, before.strategy, first_phase),
            "windows": None,
            "calibration": None,
            "outlook": None,
            "former_models": (str(before.model),),
            "encoder": encoder or before.encoder,
            "hashing": before.hashing if encoder is None else "client",  # no pipeline embeds
        }
        return self._field.of(engine, before.model_copy(update=changes), model)

    def retrained(
        self, engine: Engine, index: str, progress: Progress
    ) -> tuple[ModelRef, HashModel]:
        """See `Succession`: cells, as many as the index now has documents for."""
        spec = self._spec
        n = engine.count(index, spec.hashed)
        n_drawn = min(n, _TRAINED_ON // spec.dims, _MOST_TRAINED_ON)
        n_read = 0

        def drawn(more: int) -> None:
            nonlocal n_read
            n_read += more
            progress("reading vectors", n_read, n_drawn)

        _, vectors, _ = sample_hashed(engine, index, spec, n_drawn, _SEED, drawn)
        n_cells = min(cells_for(n), max(2, len(vectors) // _A_CELL))
        cells = CellsSpec(n_buckets=n_cells, n_bits=spec.n_bits)
        model = HashModel.fit(cells, vectors, progress)
        return ModelStore(engine).push(spec.model.name, model), model

    def change(
        self, before: Field, embeddings: NewEmbeddings | None, *, re_embedded: bool = False
    ) -> Change:
        """See `Succession`."""
        assert isinstance(before, type(self._field))
        bound = self._spec.encoder
        if bound is not None and bound != before.spec.encoder:
            return EncoderChange(self._spec, bound)
        others = re_embedded or before.spec.dims != self._spec.dims
        return EmbeddingChange(self._spec.field, embeddings, needed=others)

    def following(self, former: Field) -> "VectorField":
        """See `Succession`: each request looks into these documents too."""
        spec = self._spec.model_copy(update={"former_models": (former.mark,)})
        return type(self._field)(spec, self._field.calls, self._field.shelf)

    def copied_to(self, source: Engine, target: Engine, options: Json) -> "VectorField":
        """See `Succession`: `strategy`, `plan`, `hashing` and `first_phase`."""
        model = source.run(self._field.model())
        written = target.dialect.parts_now(has_home=model.has_home)
        chosen = asdict(self._field.options()) | options
        first_phase = chosen.pop("first_phase")
        made = self._spec.model_copy(update={**chosen, **written})
        if "first_phase" in options or made.strategy != self._spec.strategy:
            n = directions_for(model, made.strategy, first_phase)
            made = made.model_copy(update={"sketch": n, "windows": None})
        self._field.of(target, made, model)  # refused before anything is stored
        ref = ModelStore(target).push(self._spec.model.name, model)
        return self._field.of(target, made.model_copy(update={"model": ref}), model)

    def copying_hasher(self, engine: Engine, before: Field | None) -> KeptHashes:
        """See `Succession`."""
        spec = before.spec if isinstance(before, type(self._field)) else None
        return KeptHashes(engine.run(self._field.model()), self._spec, spec)

    def is_same_value(self, original: Any, copy: Any) -> bool:
        """See `Succession`: one direction."""
        vectors = [as_embedding(vector, self._spec.dims) for vector in (original, copy)]
        a, b = unit(np.stack(vectors))
        return float(a @ b) >= _SAME_COSINE
