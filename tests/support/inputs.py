"""Files of documents, loaded by `meta4 ingest`, and what came of them."""

import functools
import json
from typing import NamedTuple

from meta4 import HashModel
from meta4.adapter.manage.indexes import create_index
from meta4.adapter.model_store import ModelStore
from meta4.models.specs import LshSpec
from support.command_line import meta4_here
from support.vectors import mixture
from support.words import FIELD

DIMS = 4
VECTOR = [1.0, 2.0, -0.5, 0.25]


@functools.cache
def small_model():
    vectors, _ = mixture(n=200, dims=DIMS)
    return HashModel.fit(LshSpec(n_bits=16, bits_per_table=4, n_tables=2, seed=3), vectors)


class Loaded(NamedTuple):
    """What a load said and left.

    Attributes:
        code: its exit code.
        report: what it printed, if that was JSON.
        letters: refused documents, as they were kept.
        said: on standard error.
    """

    code: int
    report: dict
    letters: list
    said: str


class SmallIndex:
    """An index of vectors of four dimensions, and a folder for the files that go into it."""

    def __init__(self, engine, name, folder, field=FIELD, hashing="client"):
        self.engine, self.name, self.folder, self.field = engine, name, folder, field
        self.letters = folder / "letters.ndjson"
        self.model = small_model()
        ref = ModelStore(engine).push("small", self.model)
        self.spec = create_index(
            engine, name, field=field, ref=ref, model=self.model, hashing=hashing
        )

    def load(self, *files, **options):
        """Load files; options are those of the command."""
        self.letters.unlink(missing_ok=True)
        return self._run(*files, dead_letters=self.letters, **options)

    def replay(self):
        """Send what was refused again."""
        return self._run("--replay", self.letters)

    def load_text(self, text, name="rows.ndjson", **options):
        path = self.folder / name
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        return self.load(path, **options)

    def load_rows(self, *rows, **options):
        return self.load_text("".join(json.dumps(row) + "\n" for row in rows), **options)

    def load_table(self, table, name="rows.parquet", **options):
        from pyarrow import parquet

        parquet.write_table(table, self.folder / name)
        return self.load(self.folder / name, **options)

    def sources(self):
        """What the index has, by id, without the hashes."""
        self.engine.refresh(self.name)
        hits = self.engine.scan(self.name, {"query": {"match_all": {}}})
        return {hit["_id"]: {k: v for k, v in hit["_source"].items() if k != "meta4"}
                for hit in hits}  # fmt: skip

    def clear(self):
        self.engine.refresh(self.name)
        everything = {"query": {"match_all": {}}}
        self.engine.request(
            "POST", f"/{self.name}/_delete_by_query", everything, {"refresh": "true"}
        )

    def drop(self):
        self.engine.delete_index(self.name)
        self.engine.delete_pipeline(f"meta4-{self.name}")

    def _run(self, *arguments, **options):
        words = [word for name, value in options.items() if value is not None
                 for word in (f"--{name.replace('_', '-')}", value)]  # fmt: skip
        done = meta4_here(
            "ingest", *arguments, "--index", self.name, "--json", *words, url=self.engine.url
        )
        assert done.returncode in (0, 2), done.stderr
        assert "Traceback" not in done.stderr
        report = json.loads(done.stdout) if done.stdout else {}
        letters = []
        if report and self.letters.exists():
            letters = [json.loads(line) for line in self.letters.read_text().split("\n") if line]
        return Loaded(done.returncode, report, letters, " ".join(done.stderr.split()))
