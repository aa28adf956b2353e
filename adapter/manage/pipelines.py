"""Whose ingest pipelines are, and who uses them."""

from typing import Any

from ...errors import NotFoundError
from ..engines.engine import Engine

Json = dict[str, Any]
_PREFIX = "meta4-"
_IN_SETTINGS = ("default_pipeline", "final_pipeline")


def pipeline_name(index: str) -> str:
    """The ingest pipeline of an index."""
    return f"{_PREFIX}{index}"


def is_ours(name: str | None) -> bool:
    """Whether a pipeline is of an index of ours; a clone of it has the same."""
    return name is not None and name.startswith(_PREFIX)


def users_of(engine: Engine, pipeline: str, *, but: str) -> list[str]:
    """Indexes, templates and pipelines that use a pipeline, in words.

    Args:
        engine: where.
        pipeline: its name.
        but: an index that does not count.

    Raises:
        RefusedError: no right to see them.
    """
    users = [
        name
        for name, entry in _all(engine, "/_all/_settings", {"expand_wildcards": "all"}).items()
        if name != but and pipeline in _named(entry["settings"])
    ]
    namesake = pipeline.removeprefix(_PREFIX)
    if namesake != but and engine.index_exists(namesake):  # its clients may name it themselves
        users.append(namesake)
    templates = _all(engine, "/_index_template").get("index_templates", [])
    users += [
        f"index template {entry['name']}"
        for entry in templates
        if pipeline in _named(entry["index_template"].get("template", {}).get("settings", {}))
    ]
    components = _all(engine, "/_component_template").get("component_templates", [])
    users += [
        f"component template {entry['name']}"
        for entry in components
        if pipeline in _named(entry["component_template"]["template"].get("settings", {}))
    ]
    users += [
        f"template {name}"
        for name, entry in _all(engine, "/_template").items()
        if pipeline in _named(entry.get("settings", {}))
    ]
    users += [
        f"pipeline {name}"
        for name, entry in _all(engine, "/_ingest/pipeline").items()
        if name != pipeline and _calls(entry, pipeline)
    ]
    return sorted(set(users))


def _all(engine: Engine, path: str, params: Json | None = None) -> Json:
    """The answer; empty where there are none, which the engines say in several ways."""
    try:
        answer: Json = engine.request("GET", path, None, params)
    except NotFoundError:
        return {}
    return answer


def _named(settings: Json) -> list[Any]:
    """The pipelines in settings."""
    inner = settings.get("index", {})
    return [inner.get(name) for name in _IN_SETTINGS]


def _calls(part: Any, pipeline: str) -> bool:
    """Whether a pipeline, or a part of it, calls another one."""
    if isinstance(part, list):
        return any(_calls(inner, pipeline) for inner in part)
    if not isinstance(part, dict):
        return False
    called = part.get("pipeline")
    if isinstance(called, dict) and called.get("name") == pipeline:
        return True
    return any(_calls(inner, pipeline) for inner in part.values())
