"""How a server's engine is recognised."""

import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import elasticsearch
import opensearchpy
import pytest

from meta4 import Meta4
from meta4.adapter.engines.connection import connect
from meta4.adapter.engines.elasticsearch import ElasticsearchEngine
from meta4.adapter.engines.opensearch import OpenSearchEngine
from meta4.errors import RefusedError

pytestmark = pytest.mark.server
ENGINES = {"opensearch": OpenSearchEngine, "elasticsearch": ElasticsearchEngine}


@pytest.mark.parametrize("name", ENGINES)
def test_the_server_says_which_engine_it_is(nodes, name):
    url = nodes(name).url
    assert isinstance(connect(url), ENGINES[name])
    package = {"opensearch": opensearchpy.OpenSearch, "elasticsearch": elasticsearch.Elasticsearch}
    client = package[name](url)
    assert isinstance(Meta4(client).engine, ENGINES[name])
    assert Meta4(client).engine.version() == connect(url).version()
    client.close()


@pytest.mark.parametrize(
    ("status", "kind", "page"),
    [
        (200, "application/json", b'{"hello": 1}'),
        (200, "text/html", b"<h1>Hello</h1>"),
        (404, "text/html", b"<h1>Nothing here</h1>"),
    ],
)
def test_what_is_neither_engine_is_refused(status, kind, page):
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.end_headers()
            self.wfile.write(page)

        def log_message(self, *_):
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        with pytest.raises(RefusedError, match="neither OpenSearch nor Elasticsearch"):
            connect(f"http://127.0.0.1:{server.server_port}")
        server.shutdown()
