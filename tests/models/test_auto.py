"""The search for a model: what it tries, keeps, and says."""

import csv
import json

import numpy as np
import pytest
from support.command_line import meta4_here

from meta4 import HashModel
from meta4.errors import InputError
from meta4.models.choice import auto
from meta4.models.choice.attempts import COLUMNS, CSV_FILE, PLOT_FILE, Attempt, explain
from meta4.models.choice.auto import Aim, choose, find_model
from meta4.models.choice.candidates import Candidates, for_part
from meta4.models.choice.judgement import documents_looked_into
from meta4.models.specs import CellsSpec, DtshSpec, ItqSpec, LearnedSpec, LshSpec


class FixedTrial:
    """Gives the choices that it was made with, or the last of those there are."""

    def __init__(self, **choices):
        self._choices = choices

    def suggest_categorical(self, name, choices):
        return self._choices.get(name, choices[-1])

    def suggest_int(self, name, low, high):
        return self._choices.get(name, high)


def test_the_first_candidates_are_what_a_person_would_choose():
    candidates = Candidates(n=339_479, dims=100, with_labels=True, seed=3)
    specs = [candidates.suggest(FixedTrial(**choices)) for choices in candidates.first]
    assert [type(spec) for spec in specs] == [LshSpec, ItqSpec, CellsSpec, LearnedSpec, DtshSpec]
    assert specs[2] == CellsSpec(n_buckets=4096, seed=3)
    assert specs[3] == LearnedSpec(n_buckets=4096, seed=3)


@pytest.mark.parametrize("n", [1000, 20_000, 5_000_000])
@pytest.mark.parametrize("dims", [2, 100])
def test_every_candidate_can_be_fitted(n, dims):
    candidates = Candidates(n, dims, with_labels=True, seed=0)
    for kind in ("lsh", "itq", "cells", "learned", "dtsh"):
        spec = candidates.suggest(FixedTrial(kind=kind))
        assert spec.kind == kind
        assert spec.n_buckets <= max(n, 1 << 16)
        if kind == "itq":
            assert spec.bits_per_table <= dims


def test_a_part_has_buckets_as_full_as_the_whole():
    assert for_part(CellsSpec(n_buckets=4096), 1 / 4).n_buckets == 1024
    assert for_part(LshSpec(bits_per_table=12), 1 / 16).bits_per_table == 8
    assert for_part(DtshSpec(n_bits=12), 1 / 4).n_bits == 10
    assert for_part(LearnedSpec(epochs=6), 1 / 4).epochs == 12


def attempt(spec, looked_into, n=100, fault=""):
    return Attempt(spec, n, 1.0, looked_into, fault)


def test_the_shorter_code_wins_where_the_documents_are_level():
    long, short = LshSpec(n_bits=128), LshSpec(n_bits=64)
    assert choose([attempt(long, 0.0200), attempt(short, 0.0201)]).spec == short
    assert choose([attempt(long, 0.0200), attempt(short, 0.0210)]).spec == long


def test_the_choice_is_explained():
    chosen = attempt(LearnedSpec(n_buckets=16), 0.02, n=100)
    others = [
        attempt(CellsSpec(n_buckets=16), 0.03, n=100),
        attempt(LshSpec(), 0.5, n=25),
        attempt(LshSpec(n_tables=2), 0.4, n=25),
        attempt(chosen.spec, 0.1, n=25),
        attempt(ItqSpec(), float("inf"), n=100, fault="out of time"),
    ]
    assert explain([*others, chosen], chosen, 0.95) == [
        "learned, 16 buckets, layers 512,128: looks into 2.00% of the documents at recall 0.95, "
        "judged on vectors that it has not seen.",
        "cells, 16 buckets looks into 3.00%, 1.50 times as much; fitted and judged in 1 s, the "
        "chosen one in 1 s.",
        "lsh, 2 x 12 bits: on 25 vectors looks into 40.00%, the chosen one 10.00%.",
        "itq: came to no judgement.",
    ]


def test_the_search_finds_what_looks_into_least(vectors, monkeypatch):
    monkeypatch.setattr(auto, "_LEAST_PART", 2_000)
    shown = []
    aim = Aim(minutes=0.4, device="cpu")
    found = find_model(vectors[:10_000], aim, lambda *call: shown.append(call))
    assert {a.spec.kind for a in found.attempts} >= {"lsh", "itq", "cells"}
    assert len({a.n for a in found.attempts}) == 2
    whole = [a for a in found.attempts if a.n == found.chosen.n and not a.fault]
    assert found.chosen.looked_into <= 1.01 * min(a.looked_into for a in whole)
    assert found.model.manifest.spec == found.chosen.spec
    assert found.model.manifest.training.n == 9_000
    assert all(stage.startswith("trying: ") and done <= total for stage, done, total in shown)

    base, queries = vectors[:9_000], vectors[10_000:10_500]
    lsh = HashModel.fit(LshSpec(), base)
    (by_lsh,) = documents_looked_into(lsh, base, queries, "centroid", (0.95,))
    assert found.chosen.looked_into < by_lsh / 3


def test_what_cannot_be_searched_with_is_refused(vectors):
    with pytest.raises(InputError, match="at least 1000 vectors"):
        find_model(vectors[:500], Aim(), lambda *_: None)
    with pytest.raises(InputError, match="2000 vectors have 3 labels"):
        find_model(vectors[:2000], Aim(), lambda *_: None, labels=np.array(["a", "b", "c"]))
    bad = np.full((2000, 4), 1.0)
    bad[0, 0] = np.nan
    with pytest.raises(InputError):
        find_model(bad, Aim(), lambda *_: None)


def test_from_the_command_line(vectors, tmp_path):
    np.save(tmp_path / "v.npy", vectors[:3000])
    classes = "\n".join(str(int(value)) for value in (vectors[:3000, 0] > 0))
    (tmp_path / "classes.txt").write_text(classes)
    out = tmp_path / "best"
    done = meta4_here("train", tmp_path / "v.npy", "--auto", "--minutes", 0.05, "--recall", 0.9,
                 "--labels", tmp_path / "classes.txt", "--out", out, "--json")  # fmt: skip
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert "at recall 0.9" in said["reasons"][0]
    assert set(said["attempts"][0]) == set(COLUMNS)
    assert HashModel.load(out).manifest.spec.kind == said["spec"]["kind"]
    with (out / CSV_FILE).open() as file:
        assert len(list(csv.DictReader(file))) == len(said["attempts"])
    assert (out / PLOT_FILE).read_bytes().startswith(b"\x89PNG")

    for options, words in (
        (["--auto", "--model", "lsh"], "leave --model"),
        (["--auto", "--buckets", 8], "leave --model"),
        (["--minutes", 3], "--minutes belongs to --auto"),
    ):
        done = meta4_here("train", tmp_path / "v.npy", *options, "--out", tmp_path / "none")
        assert done.returncode == 2
        assert words in done.stderr
        assert not (tmp_path / "none").exists()
