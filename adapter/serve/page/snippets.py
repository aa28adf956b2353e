"""A search as other programs send it, and JSON as people read it."""

import re
from typing import Any

import orjson

_NUMBERS = re.compile(r"\[\s+(-?[\d.eE+-]+(?:,\s+-?[\d.eE+-]+)*)\s+\]")
_GAP = re.compile(r",\s+")


def readable(value: Any) -> str:
    """JSON over several lines, but a list of numbers on one."""
    lines = orjson.dumps(value, option=orjson.OPT_INDENT_2 | orjson.OPT_SERIALIZE_NUMPY).decode()
    return _NUMBERS.sub(lambda found: f"[{_GAP.sub(', ', found[1])}]", lines)


def snippets(url: str, index: str, body: dict[str, Any], *, is_elastic: bool) -> dict[str, str]:
    """By language, what asks the gateway for a body. It names no credentials.

    Args:
        url: of the gateway, as its caller has it.
        index: that is searched.
        body: with a clause.
        is_elastic: whose client.
    """
    said = readable(body)
    client, package, node = "OpenSearch", "opensearchpy", "@opensearch-project/opensearch"
    as_python = f"client.search(index={index!r}, body={body!r})"
    as_script, answer = f"index: {_json(index)}, body", "answer.body.hits.hits"
    if is_elastic:
        client, package, node = "Elasticsearch", "elasticsearch", "@elastic/elasticsearch"
        as_python = f"client.search(index={index!r}, **{body!r})"
        as_script, answer = f"index: {_json(index)}, ...body", "answer.hits.hits"
    return {
        "curl": (
            f"curl -s {_quoted(f'{url}/{index}/_search')} -H 'content-type: application/json' "
            f"--data-binary @- <<'END'\n{said}\nEND"
        ),
        "Python": (
            f"from {package} import {client}\n\nclient = {client}({url!r})\nanswer = {as_python}\n"
            f'for hit in answer["hits"]["hits"]:\n    print(hit["_id"], hit["_score"])'
        ),
        "JavaScript": (
            f"import {{ Client }} from {_json(node)};\n\n"
            f"const client = new Client({{ node: {_json(url)} }});\nconst body = {said};\n"
            f"const answer = await client.search({{ {as_script} }});\n"
            f"for (const hit of {answer}) console.log(hit._id, hit._score);"
        ),
    }


def _json(text: str) -> str:
    return orjson.dumps(text).decode()


def _quoted(text: str) -> str:
    """For a shell."""
    return "'" + text.replace("'", "'\\''") + "'"
