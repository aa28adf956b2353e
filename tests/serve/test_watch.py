"""What the gateway tells of itself."""

import json
import re
from queue import Queue

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExporter, SpanExportResult
from support.gateways import ask
from support.words import FIELD

pytestmark = pytest.mark.server
TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
TYPE = {"content-type": "application/json"}


class Ended(SpanExporter):
    """Spans as they end, which is after their answer was read."""

    def __init__(self):
        self.spans = Queue()

    def export(self, spans):
        for span in spans:
            self.spans.put(span)
        return SpanExportResult.SUCCESS


@pytest.fixture(scope="module")
def spans():
    exporter = Ended()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    trace.set_tracer_provider(provider)
    return exporter.spans


def figures(url):
    text = ask(url, "GET", "/_meta4/metrics")[2].decode()
    return {
        name: float(value)
        for name, value in re.findall(r"^(\S+?(?:\{.*\})?) ([\d.e+-]+)$", text, re.MULTILINE)
    }


def search(url, index, headers=None, **clause):
    body = {"query": {"meta4_similar": {FIELD: {"id": "berlin", "k": 10, **clause}}}}
    told = {**TYPE, **(headers or {})}
    return ask(url, "POST", f"/{index}/_search", json.dumps(body), told)


def test_what_a_clause_looked_into_is_counted(gateway, words):
    body = {"query": {"meta4_similar": {FIELD: {"id": "berlin", "k": 10, "recall": 0.9}}}}
    explained = words.meta4.explain(index=words.index, body=body)["clauses"][0]
    before = figures(gateway)
    for path in ("_search", "_count"):
        assert ask(gateway, "POST", f"/{words.index}/{path}", json.dumps(body), TYPE)[0] == 200
    after = figures(gateway)

    def grown(name):
        return after[name] - before.get(name, 0.0)

    assert grown("meta4_documents_looked_into_count") == 2
    assert grown("meta4_recall_promised_sum") == pytest.approx(2 * 0.9)
    assert grown("meta4_widened_total") == 2 * (explained["rounds"] > 1)
    scored = explained["docs_looked_into"]
    assert scored <= grown("meta4_documents_looked_into_sum") / 2 <= 2.5 * scored


def test_an_exact_search_counts_all_documents(gateway, words):
    before = figures(gateway)["meta4_documents_looked_into_sum"]
    assert search(gateway, words.index, recall=1.0)[0] == 200
    after = figures(gateway)["meta4_documents_looked_into_sum"]
    assert after - before == len(words.words)


def test_a_refusal_is_counted_by_its_kind(gateway, words):
    name = 'meta4_refusals_total{error="ClauseError"}'
    before = figures(gateway).get(name, 0.0)
    assert search(gateway, words.index, k=0)[0] == 400
    assert figures(gateway)[name] == before + 1


def test_a_request_is_a_span_among_those_of_its_caller(spans, gateway, words):
    parent = {"traceparent": f"00-{TRACE}-{PARENT}-01"}
    assert search(gateway, words.index, parent)[0] == 200
    while True:  # others may have been under way
        span = spans.get(timeout=30)
        if f"{span.context.trace_id:032x}" == TRACE:
            break
    assert f"{span.parent.span_id:016x}" == PARENT
    assert span.kind is trace.SpanKind.SERVER
    assert dict(span.attributes) == {
        "http.request.method": "POST",
        "http.response.status_code": 200,
    }
