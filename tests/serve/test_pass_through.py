"""What is not ours goes through the gateway as if it were not there, on both engines."""

import gzip
import http.client
import http.server
import json
import re
import socket
import threading
from urllib.parse import urlsplit

import pytest
from support.gateways import ask, gateway_before
from support.servers import on_one_engine, proxy_before

pytestmark = pytest.mark.server
#: Of an answer what two requests have two of.
VOLATILE = re.compile(rb'"?(took|_seq_no|_primary_term|_version)"?\s*:\s*[^,}\s]+')
JSON = {"content-type": "application/json"}


@pytest.fixture
def both(node, gateway):
    """The same request, to the engine and by the gateway: status, headers and body.

    Sent once before, so that what it writes is there for both.
    """

    def same(method, target, body=None, headers=None):
        ask(node.url, method, target, body, headers)
        direct = ask(node.url, method, target, body, headers)
        through = ask(gateway, method, target, body, headers)
        kept = []
        for status, given, content in (direct, through):
            names = {k.lower(): v for k, v in given.items()}
            for name in ("content-length", "transfer-encoding", "x-meta4-request", "connection"):
                names.pop(name, None)
            if names.get("content-encoding") == "gzip":
                content = gzip.decompress(content)
            kept.append((status, names, VOLATILE.sub(rb"\1", content)))
        assert kept[0] == kept[1]
        return kept[1]

    return same


def test_answers_are_the_engine_s_own(both, index_name, engine):
    index = f"/{index_name}"
    engine.request("PUT", index, {"settings": {"index.number_of_replicas": 0}})
    try:
        both("PUT", f"{index}/_doc/1?refresh=true", b'{"a": 1}', JSON)
        both("PUT", f"{index}/_doc/%C3%A9%2Fx%20y?refresh=true", '{"a": "é"}'.encode(), JSON)
        both("GET", f"{index}/_doc/%C3%A9%2Fx%20y")
        both("GET", f"{index}/_doc/none")
        both("HEAD", f"{index}/_doc/1")
        both("HEAD", f"{index}/_doc/none")
        both("GET", f"{index}/_search?q=a:1&filter_path=hits.hits._id")
        both("POST", f"{index}/_search?pretty", b'{"query": {"match_all": {}}}', JSON)
        both("POST", f"{index}/_search", b'{"query": {"nothing": {}}}', JSON)
        both("POST", f"{index}/_search", b'{"query": ', JSON)
        both(
            "POST",
            f"{index}/_search",
            b"query: {match_all: {}}",
            {"content-type": "application/yaml"},
        )
        both("GET", f"{index}/_search", headers={"accept-encoding": "gzip"})
        squeezed = gzip.compress(b'{"query": {"term": {"a": 1}}}')
        both("POST", f"{index}/_search", squeezed, {**JSON, "content-encoding": "gzip"})
        both("POST", f"{index}/_count")
        both("POST", "/_msearch", f'{{"index": "{index_name}"}}\n{{}}\n'.encode(), JSON)
        lines = b'{"index": {"_id": "7"}}\n{"a": 2}\n{"delete": {"_id": "8"}}\n{"nothing": {}}\n'
        both("POST", f"{index}/_bulk", lines, {"content-type": "application/x-ndjson"})
        lines = b'{"index": {"_id": "7"}}\n{"a": 2}\n{"delete": {"_id": "8"}}\n'
        both("POST", f"{index}/_bulk", lines, {"content-type": "application/x-ndjson"})
        both("POST", f"{index}/_bulk", b'{"index": {}}\n{"a": 2}', JSON)
        both("POST", f"{index}/_update/1", b'{"doc": {"b": 1}}', JSON)
        both("POST", f"{index}/_mget", b'{"ids": ["1", "none"]}', JSON)
        both("GET", f"{index}/_mapping?format=yaml")
        both("GET", "/_cat/health?h=status")
        both("GET", "/nothing-of-that-name/_search")
        both("PATCH", f"{index}/_doc/1", b"{}", JSON)
        both("GET", "/%")
        both("DELETE", "/nothing-of-that-name")
    finally:
        engine.delete_index(index_name)


def test_a_word_in_a_text_is_no_clause(both, index_name, engine):
    try:
        body = {"a": "meta4_similar", "meta4_analogy": {"x": {}}}
        both("PUT", f"/{index_name}/_doc/1?refresh=true", json.dumps(body).encode(), JSON)
        query = {"query": {"match": {"a": "meta4_similar"}}}
        both("POST", f"/{index_name}/_search", json.dumps(query).encode(), JSON)
        query["query"]["match"]["a"] = "\u00fcber"
        both("POST", f"/{index_name}/_search", json.dumps(query).encode(), JSON)
    finally:
        engine.delete_index(index_name)


def test_large_bodies_and_answers_stream(both, gateway, index_name, engine):
    """Megabytes each way, in pieces without a length."""
    text = "x" * 20_000
    lines = "".join(f'{{"index": {{"_id": "{i}"}}}}\n{{"t": "{text}{i}"}}\n' for i in range(300))

    def pieces():
        data = lines.encode()
        for start in range(0, len(data), 100_000):
            yield data[start : start + 100_000]

    try:
        parts = urlsplit(gateway)
        connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=60)
        connection.request(
            "POST", f"/{index_name}/_bulk?refresh=true", pieces(),
            {"content-type": "application/x-ndjson", "transfer-encoding": "chunked"},
            encode_chunked=True,
        )  # fmt: skip
        answer = json.loads(connection.getresponse().read())
        connection.close()
        assert not answer["errors"]
        assert len(answer["items"]) == 300
        both("GET", f"/{index_name}/_search?size=300&sort=_doc")
    finally:
        engine.delete_index(index_name)


def test_an_engine_that_is_away_is_said_so(node):
    """In the engines' own format, as a program expects it."""
    with proxy_before(node) as proxy, gateway_before(proxy.url) as url:
        assert ask(url, "GET", "/_meta4/health")[0] == 200
        proxy.shut()
        status, _, body = ask(url, "GET", "/_search")
        assert status in (502, 504)
        said = json.loads(body)
        assert said["status"] == status
        assert said["error"]["type"] == "meta4_exception"
        assert ask(url, "GET", "/_meta4/health")[0] == 503
        proxy.reopen()
        assert ask(url, "GET", "/_search")[0] == 200


def test_who_goes_away_leaves_nothing_behind(gateway):
    """No request that waits for an answer which nobody reads."""
    parts = urlsplit(gateway)
    with socket.create_connection((parts.hostname, parts.port)) as client:
        client.sendall(b"POST /_bulk HTTP/1.1\r\nhost: x\r\ncontent-length: 1000\r\n\r\n{")

    def under_way():
        figures = ask(gateway, "GET", "/_meta4/metrics")[2].decode()
        (line,) = re.findall(r"^meta4_requests_under_way (\S+)", figures, re.M)
        return float(line)

    done = threading.Event()
    for _ in range(100):
        if under_way() == 1.0:  # itself
            break
        done.wait(0.05)
    assert under_way() == 1.0


def test_what_it_tells_of_itself(gateway):
    status, _, body = ask(gateway, "GET", "/_meta4/health")
    assert status == 200
    assert json.loads(body)["status"] == "ok"
    status, headers, body = ask(gateway, "GET", "/_meta4/metrics")
    assert status == 200
    assert b"meta4_requests_total" in body
    assert headers["x-meta4-request"]
    status, _, body = ask(gateway, "GET", "/_meta4/nothing")
    assert status == 404
    assert "/_meta4/explain" in json.loads(body)["error"]["reason"]


class InAnotherCoding(http.server.BaseHTTPRequestHandler):
    """What no engine does, but a proxy before one may: an answer in a coding nobody asked for."""

    protocol_version = "HTTP/1.1"

    def do_GET(self):
        said = {"version": {"distribution": "opensearch", "number": "3.0.0"}}
        self.answer(json.dumps(said).encode(), "identity")

    def do_POST(self):
        self.answer(b"\x0b\x02\x80{}\x03", "br")

    def answer(self, body, coding):
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-encoding", coding)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


@on_one_engine
def test_an_answer_that_cannot_be_read_is_no_success(node):
    """Else what was to be told in it, as the refusals of a bulk, would be lost."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), InAnotherCoding) as engine:
        threading.Thread(target=engine.serve_forever, daemon=True).start()
        with gateway_before(f"http://127.0.0.1:{engine.server_port}") as url:
            target = "/some/_search/point_in_time?keep_alive=1m"
            status, _, body = ask(url, "POST", target, headers={"accept-encoding": "br"})
        engine.shutdown()
    assert status == 502
    assert "'br'" in json.loads(body)["error"]["reason"]
