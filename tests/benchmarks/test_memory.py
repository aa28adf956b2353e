"""What the benchmark of short memory reads of the kernel, and what it makes of its rows."""

import os
from pathlib import Path

import pytest
from benchmarks import report
from benchmarks.memory import groups, page_cache, results
from benchmarks.memory.groups import NoGroup, Usage, Version1, Version2, new_group, own_folder
from benchmarks.memory.page_cache import evict, major_faults, read_bytes, resident

MEMBERSHIP = "4:memory:/a/b\n3:cpuset,cpu:/c\n0::/d\n"


def files(folder: Path, **contents: object) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in contents.items():
        (folder / name.replace("__", ".")).write_text(str(content))
    return folder


@pytest.fixture
def membership(tmp_path):
    file = tmp_path / "membership"
    file.write_text(MEMBERSHIP)
    return file


def test_version_1_where_its_memory_controller_is(tmp_path, membership):
    files(tmp_path / "memory", cgroup__procs="")
    own = files(tmp_path / "memory" / "a" / "b", cgroup__procs="")
    group = new_group(tmp_path, membership)
    assert isinstance(group, Version1)
    files(group.folder, memory__usage_in_bytes=700, memory__stat="cache 300\nrss 350\n")
    assert group.usage() == Usage(700, 300) and group.usage().rest == 400
    with group.entered():
        assert (group.folder / "cgroup.procs").read_text() == "0"
        assert (own / "cgroup.procs").read_text() == ""
    assert (own / "cgroup.procs").read_text() == "0"
    group.limit(500)
    assert (group.folder / "memory.limit_in_bytes").read_text() == "500"
    group.limit(None)
    assert (group.folder / "memory.limit_in_bytes").read_text() == "-1"


def test_version_2_reclaims_before_it_limits(tmp_path, membership):
    files(tmp_path, cgroup__controllers="cpu memory\n", cgroup__procs="")
    group = new_group(tmp_path, membership)
    assert isinstance(group, Version2)
    assert (tmp_path / "cgroup.subtree_control").read_text() == "+memory"
    files(group.folder, memory__current=700, memory__stat="anon 350\nfile 300\n")
    group.limit(500)
    assert (group.folder / "memory.reclaim").read_text() == "200"
    assert (group.folder / "memory.max").read_text() == "500"
    group.limit(None)
    assert (group.folder / "memory.max").read_text() == "max"


def test_no_group_where_none_is_or_none_can_be_made(tmp_path, membership):
    assert isinstance(new_group(tmp_path, membership), NoGroup)
    files(tmp_path, cgroup__controllers="cpu pids\n")
    group = new_group(tmp_path, membership)
    assert isinstance(group, NoGroup) and not group.limits
    with group.entered():
        group.limit(5)


def test_a_path_of_another_namespace_is_the_root(tmp_path):
    assert own_folder(tmp_path, "memory", MEMBERSHIP) == tmp_path
    mine = files(tmp_path / "d", cgroup__procs="")
    assert own_folder(tmp_path, "", MEMBERSHIP) == mine


def test_figures_of_the_kernel():
    assert groups.parsed("cache 12\ntotal_cache 34\n") == {"cache": 12, "total_cache": 34}
    assert read_bytes("rchar: 9\nread_bytes: 4096\nwrite_bytes: 1\n") == 4096
    fields = " ".join(str(i) for i in range(3, 53))
    assert major_faults(f"17 (a (b) c) {fields}") == 12


def test_pages_in_memory_are_counted_and_dropped(tmp_path):
    size = 5 * os.sysconf("SC_PAGE_SIZE")
    (tmp_path / "inner").mkdir()
    file = tmp_path / "inner" / "file"
    file.write_bytes(bytes(size - 1))
    (tmp_path / "empty").touch()
    file.read_bytes()
    assert resident(tmp_path) == size
    evict(tmp_path)
    assert resident(tmp_path) in {0, size}  # a file system in memory keeps it
    before = page_cache.reads([os.getpid()], tmp_path)
    assert page_cache.reads([os.getpid()], tmp_path).since(before).bytes >= 0


def row(side, recall, p50, mb, **other):
    room = {"asked": 100, "limit": 300, "rest": 100, "charged": 99, "held": 99}
    return {
        "set": "texts", "name": "texts (384)", "side": side, "room": 0.5, "recall": recall,
        "candidates": None, "cold": False, "requests": 5, "p50_ms": p50, "p95_ms": 2 * p50,
        "delivered": recall, "mb": mb, "faults": 3.0, "reads": 4.0, "free": 0,
        "room_before": room, "room_after": room,
    } | other  # fmt: skip


def test_rows_of_several_runs_make_the_bars(tmp_path, monkeypatch):
    monkeypatch.setattr(report, "RESULTS", tmp_path)
    machine = {"group": "none", "heap_mb": 1, "read_ahead_kb": 128}
    results.add("small", [row("meta4", 0.95, 9.0, 0.0)], {"texts": {}}, machine)
    results.add("small", [row("hnsw", 0.95, 20.0, 3.0)], {"words": {}}, machine)
    results.add("small", [row("meta4", 0.95, 4.0, 0.5)], {"texts": {}}, machine)
    bars, details = report.read_results("small")
    assert [bar.ratio for bar in bars] == [5.0, 6.0] and all(bar.holds for bar in bars)
    assert len(details["rows"]) == 2 and set(details["loads"]) == {"texts", "words"}
    cold = row("meta4", 0.95, 4.0, 0.5, cold=True), row("hnsw", 0.95, 8.0, 0.5, cold=True)
    results.add("small", cold, {}, machine)
    (p50, p95) = report.read_results("small")[0][2:]
    assert not p50.holds and p50.ratio == p95.ratio == 2.0
    assert "| 50%, first 5 | 0.95 | hnsw |" in results.tables("small")


def test_of_several_times_medians_count():
    rows = [row("meta4", 0.95, p50, p50, free=free) for p50, free in ((3, 9), (1, 0), (2, 0))]
    found = results.median(rows)
    assert (found["p50_ms"], found["p95_ms"], found["mb"], found["times"]) == (2.0, 4.0, 2.0, 3)
    assert found["free"] == 9


def test_results_of_fewer_documents_or_another_engine_stand_by_themselves():
    assert results.name_of("opensearch", None) == "memory"
    assert results.name_of("elasticsearch", 100) == "memory-elasticsearch-100"
