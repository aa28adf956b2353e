"""A search as other programs send it, and JSON as people read it."""

from typing import Any
from urllib.parse import quote

import orjson

_STEP = "  "


def readable(value: Any, indent: str = "") -> str:
    """JSON over several lines, but a list of numbers on one."""
    inner = indent + _STEP
    if isinstance(value, dict) and value:
        parts = [f"{_json(name)}: {readable(one, inner)}" for name, one in value.items()]
    elif isinstance(value, list) and not all(isinstance(one, int | float) for one in value):
        parts = [readable(one, inner) for one in value]
    else:
        return _json(value)
    first, last = "{}" if isinstance(value, dict) else "[]"
    return f"{first}\n{inner}" + f",\n{inner}".join(parts) + f"\n{indent}{last}"


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
    address = _quoted(f"{url}/{quote(index, safe=',*')}/_search")
    return {
        "curl": (
            f"curl -gs {address} -H 'content-type: application/json' "
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


def _json(value: Any) -> str:
    return orjson.dumps(value, option=orjson.OPT_SERIALIZE_NUMPY).decode()


def _quoted(text: str) -> str:
    """For a shell."""
    return "'" + text.replace("'", "'\\''") + "'"
