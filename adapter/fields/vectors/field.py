"""Fields of vectors. What each method is for stands in `meta4.adapter.fields.field`."""

from collections.abc import Iterator, Mapping, Sequence
from functools import partial, reduce
from typing import Any, Self

from ....errors import ConflictError
from ....ingest.hashers import DocumentHasher, Hasher
from ....ingest.pipeline import check_pipeline_fits, pipeline_body
from ....mappings.fields import ENCODER, TEXT, HashedField
from ....mappings.spec import OF_ITS_TIME, FieldSpec, FirstPhase, Hashing, IndexSpec, ModelRef
from ....models.embeddings import Progress, embedding_fault
from ....models.model import HashModel
from ....models.probing.calibration import more_careful
from ....models.probing.directory import Directory
from ....models.probing.ranking import check_plan, default_plan
from ....models.sketch import SketchWindows
from ....models.stopping.record import OutlookRecord
from ...engines.calls import Calls, Json, Steps, Work, to_json
from ...engines.engine import Engine
from ...model_store import ModelStore, resolve_reference
from ...search.planned import Body, PlannedClause
from ...search.sites import Site
from ..field import Field, Finding, Options
from ..scope import Scope
from ..shelf import Key, Shelf
from .directory import Directories, read_directories
from .duplicates import Duplicates, find_duplicates
from .encoding import check_encoder, check_no_encoder, texts_finding, with_vectors_of_texts
from .findings import bucket_finding, drift_finding
from .first_phase import directions_for, first_phase_in_words
from .planning import plan_sites
from .promise import VectorPromise
from .request import PlannedVectors
from .shown import explained, shown, summarised
from .stale import count_stale, stale_hits
from .succession import VectorSuccession

#: What a spec has from measuring, and not from whoever made the index.
_MEASURED = frozenset({"calibration", "outlook", "window", "windows"})
#: What a spec has from how documents are written: indexes that differ are searched together.
_NOT_SEARCHED = frozenset({"former_models", "hashing"})


class VectorField(Field):
    """See `Field`."""

    kind = IndexSpec.kind
    spec_type = IndexSpec
    model_type = HashModel
    default_name = "embedding"
    value_name = "vector"
    stale_costs = "each request scores those of another model as well"
    spec: IndexSpec

    def __init__(
        self,
        spec: IndexSpec,
        calls: Calls,
        shelf: Shelf,
        others: Sequence[OutlookRecord] = (),
    ) -> None:
        """See `Field`.

        Args:
            spec: see `Field`.
            calls: see `Field`.
            shelf: see `Field`.
            others: outlooks of indexes that are asked together with that of the spec.
        """
        super().__init__(spec, calls, shelf)
        self.others = others

    def model(self) -> Steps[HashModel]:
        """The model that hashes it.

        Raises:
            ConflictError: the store has another one under its name.
        """
        return (yield from self.shelf.take(_key(self.spec.model), self._read_model, forever=True))

    def _read_model(self) -> Steps[HashModel]:
        model: HashModel = yield Work(self._pull_model)
        return model

    def _pull_model(self, engine: Engine) -> HashModel:
        wanted = self.spec.model
        found, model = ModelStore(engine).pull(str(wanted))
        if found.sha256 != wanted.sha256:
            raise ConflictError(
                f"the index was made with model {wanted} of checksum {wanted.sha256[:12]}…, and "
                f"the store has {found.sha256[:12]}… under that name; push the right one again"
            )
        return model

    def directories(
        self, index: str, within: Body | None = None, defined: Mapping[str, Any] | None = None
    ) -> Steps[Directories]:
        """Buckets and their counts, of all documents or of those that match a filter.

        Of all by each keyword that there is, of others by those that a request may use.

        Args:
            index: where.
            within: the filter.
            defined: see `Site`.
        """
        both = within and to_json([within, defined or {}])
        spec = self.spec
        keywords = spec.all_keywords if within is None else spec.keywords(filtered=True)
        read = partial(read_directories, self.calls, index, spec, keywords, within, defined)
        key = ("directory", index, (spec.field, both))
        return (yield from self.shelf.take(key, read))

    def directory(self, index: str) -> Steps[Directory]:
        """Buckets and their counts, of all documents, each of which counts in all its buckets."""
        return (yield from self.directories(index))["bucket"]

    # A request.

    def get_ready(self, index: str) -> Steps[None]:
        """See `Field`."""
        yield from self.model()
        yield from self.directories(index)

    def plan(
        self, scope: Scope, sites: Sequence[Site], *, exact: bool
    ) -> Steps[list[PlannedVectors]]:
        """See `Field`."""
        return (yield from plan_sites(self, scope, sites, exact=exact))

    def about(self, index: str) -> Steps[Json]:
        """See `Field`."""
        directory = yield from self.directory(index)
        return {
            "model": self.mark,
            "strategy": self.spec.strategy,
            "plan": self.spec.plan,
            "documents": directory.n_documents,
            "strays": directory.n_strays,
        }

    def explain(self, index: str, one: PlannedClause) -> Steps[Json]:
        """See `Field`."""
        assert isinstance(one, PlannedVectors)
        looked_into = yield from self.count_searched(index, one)
        directory = yield from self.directory(index)
        return explained(one, looked_into, directory.n_documents)

    # A document.

    @property
    def hashing(self) -> Hashing:
        """See `Field`."""
        return self.spec.hashing

    @property
    def mark(self) -> str:
        """See `Field`."""
        return str(self.spec.model)

    def hasher(self, *, written_before: bool = False) -> Steps[Hasher]:
        """See `Field`. A length that stands beside a vector out of an index is left."""
        model = yield from self.model()
        hasher = DocumentHasher(model, self.spec, keep_norms=written_before)
        return (yield from with_vectors_of_texts(hasher, self.spec))

    @property
    def takes_texts(self) -> bool:
        """See `Field`."""
        return self.spec.encoder is not None

    @property
    def at_times(self) -> tuple[str, ...]:
        """See `Field`."""
        return () if self.spec.encoder is None else (ENCODER, TEXT)

    @property
    def hashed_by(self) -> tuple[str, ...]:
        """See `Field`."""
        bound = self.spec.encoder
        return (self.spec.field,) if bound is None else (self.spec.field, bound.source)

    def fault(self, value: Any) -> str | None:
        """See `Field`."""
        return embedding_fault(value, self.spec.dims)

    def duplicates(
        self, engine: Engine, index: str, min_cosine: float, recall: float, progress: Progress
    ) -> Duplicates:
        """See `Field`."""
        return find_duplicates(engine, index, self.spec, min_cosine, recall, progress)

    # An index.

    @classmethod
    def takes(cls, reference: str) -> bool:
        """See `Field`: whatever no other kind does."""
        return True

    @classmethod
    def resolve(cls, engine: Engine, reference: str) -> tuple[ModelRef, HashModel]:
        """See `Field`."""
        return resolve_reference(ModelStore(engine), reference)

    @classmethod
    def needs_scripts(cls, options: Options) -> bool:
        """See `Field`."""
        by_pipeline = options.hashing == "server" or not (options.hashing or options.encoder)
        return options.strategy != "native" or by_pipeline

    @classmethod
    def new(
        cls, engine: Engine, name: str, ref: ModelRef, model: HashModel, options: Options
    ) -> Self:
        """See `Field`."""
        HashedField(name)
        encoder = options.encoder
        if encoder is not None:
            check_encoder(encoder, name, model)
        spec = IndexSpec(
            field=name,
            dims=model.dims,
            n_bits=model.manifest.n_bits,
            n_buckets=model.n_buckets,
            model=ref,
            strategy=options.strategy,
            plan=options.plan or default_plan(model.bucket_kind),
            hashing=options.hashing or ("server" if encoder is None else "client"),
            encoder=encoder,
            sketch=directions_for(model, options.strategy, options.first_phase),
            **engine.dialect.parts_now(has_home=model.has_home),
        )
        return cls.of(engine, spec, model)

    @classmethod
    def of(cls, engine: Engine, spec: IndexSpec, model: HashModel) -> Self:
        """A field whose model is at hand.

        Raises:
            InputError: a plan or a server's hashing that the model cannot do.
        """
        check_plan(spec.plan, model.bucket_kind)
        if spec.hashing == "server":
            check_no_encoder(spec)
            check_pipeline_fits(model)
        shelf = Shelf()
        shelf.put(_key(spec.model), model)
        return cls(spec, engine.calls, shelf)

    def options(self) -> Options:
        """See `Field`."""
        spec = self.spec
        first_phase: FirstPhase = "projection" if spec.sketch else "none"
        return Options(spec.strategy, spec.plan, spec.hashing, first_phase, spec.encoder)

    def index_body(self, *, shards: int, replicas: int, pipeline: str | None) -> Body:
        """See `Field`."""
        dialect = self.calls.dialect
        return dialect.index_body(self.spec, shards=shards, replicas=replicas, pipeline=pipeline)

    def pipeline(self, engine: Engine) -> Body | None:
        """See `Field`."""
        if self.hashing != "server":
            return None
        return pipeline_body(self.spec, engine.run(self.model()))

    def same_but_measured(self, other: FieldSpec) -> bool:
        """See `Field`."""
        but = set(_MEASURED | OF_ITS_TIME)
        ours, theirs = (spec.model_dump(exclude=but) for spec in (self.spec, other))
        return bool(ours == theirs)

    def together(self, others: Sequence[Field]) -> Self | None:
        """See `Field`: the more careful of what was measured holds for all."""
        specs = [self.spec, *(one.spec for one in others if isinstance(one, type(self)))]
        dumps = [spec.model_dump(exclude=set(_MEASURED | _NOT_SEARCHED)) for spec in specs]
        if len(specs) <= len(others) or any(dump != dumps[0] for dump in dumps):
            return None
        former = {model: None for spec in specs for model in spec.former_models}
        tuned = [spec for spec in specs if spec.outlook is not None or spec.calibration is not None]
        outlooks = [spec.outlook for spec in specs if spec.outlook is not None]
        if len(tuned) < len(specs):
            outlooks = []  # one that was not tuned is searched exactly, and all with it
        distinct = list({one.packed: one for one in outlooks}.values())
        measured = {
            "calibration": more_careful([spec.calibration for spec in specs]),
            "outlook": distinct[0] if distinct else None,
            "window": max(spec.window for spec in specs),
            "windows": _widest([spec.windows for spec in specs]),
            "former_models": tuple(former),
        }
        spec = self.spec.model_copy(update=measured)
        return type(self)(spec, self.calls, self.shelf, distinct[1:])

    def line(self, model: HashModel) -> str:
        """See `Field`."""
        spec = self.spec
        return (
            f"field {spec.field}, model {spec.model}, strategy {spec.strategy}, plan {spec.plan}, "
            f"hashing by {spec.hashing}, {first_phase_in_words(spec, model)}"
        )

    def summary(self) -> Json:
        """See `Field`."""
        return summarised(self.spec)

    def show(self, engine: Engine, index: str) -> Json:
        """See `Field`."""
        return shown(engine, index, self.spec, engine.run(self.directory(index)))

    # Its state.

    def stale(self, engine: Engine, index: str) -> Iterator[Json]:
        """See `Field`."""
        return stale_hits(engine, index, self.spec, engine.run(self.model()))

    def count_stale(self, engine: Engine, index: str) -> int:
        """See `Field`."""
        return count_stale(engine, index, self.spec, engine.run(self.model()))

    def findings(self, engine: Engine, index: str) -> list[Finding]:
        """See `Field`."""
        directory, model = engine.run(self.directory(index)), engine.run(self.model())
        bound = self.spec.encoder
        return [
            bucket_finding(index, self.spec, directory),
            drift_finding(engine, index, self.spec, model),
            *([] if bound is None else [texts_finding(engine, index, self.spec, bound)]),
        ]

    @property
    def promise(self) -> VectorPromise:
        """See `Field`."""
        return VectorPromise(self)

    @property
    def succession(self) -> VectorSuccession:
        """See `Field`."""
        return VectorSuccession(self)


def _widest(windows: Sequence[SketchWindows | None]) -> SketchWindows | None:
    """None where one was not measured."""
    known = [one for one in windows if one is not None]
    return reduce(SketchWindows.wider, known) if len(known) == len(windows) else None


def _key(ref: ModelRef) -> Key:
    return "model", "", ref.sha256
