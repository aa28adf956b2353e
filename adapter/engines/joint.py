"""Several generators of steps run side by side, sharing their round trips."""

from collections.abc import Generator, Sequence
from dataclasses import dataclass
from itertools import accumulate, chain, islice
from typing import Any, TypeVar

import orjson

from ...errors import Meta4Error
from .calls import Call, DocumentsCall, Pause, SearchCall, Step, Steps, to_json
from .faults import refusal

T = TypeVar("T")
Json = dict[str, Any]
#: Of searches that share a round trip: engines take 100 MB.
_MOST_BYTES = 1 << 25
_HEADER = {"allow_partial_search_results": False}


@dataclass(frozen=True)
class _SearchesCall(Call):
    """An `_msearch` that may share its round trip with others: these searches."""

    calls: tuple[SearchCall, ...] = ()


def joined(url: str, runs: Sequence[Steps[T]]) -> Steps[list[T | Meta4Error]]:
    """What each of them returns, or the error of ours that ended it.

    Searches that are asked for in the same round go in one `_msearch`, documents of one index in
    one `_mget`; what is the same for several is asked once.

    Args:
        url: where, for messages.
        runs: generators that have not begun.
    """
    results: list[Any] = [None] * len(runs)
    waiting: dict[int, Step] = {}

    def go_on(i: int, answer: Any) -> None:
        waiting.pop(i, None)
        try:
            one = runs[i]
            waiting[i] = one.throw(answer) if isinstance(answer, Exception) else one.send(answer)
        except StopIteration as stop:
            results[i] = stop.value
        except Meta4Error as error:
            results[i] = error

    try:
        for i in range(len(runs)):
            go_on(i, None)
        while waiting:
            for group, steps in _groups(waiting):
                answers = yield from _answers(url, steps)
                for i, answer in zip(group, answers, strict=True):
                    go_on(i, answer)
    finally:
        for run in runs:
            run.close()
    return results


def all_well(results: Sequence[T | Meta4Error]) -> list[T]:
    """The results of `joined`; its first error is raised."""
    well: list[T] = []
    for result in results:
        if isinstance(result, Meta4Error):
            raise result
        well.append(result)
    return well


def _groups(waiting: dict[int, Step]) -> list[tuple[list[int], list[Step]]]:
    """Who waits for what can be asked in one round trip."""
    groups: dict[Any, list[int]] = {}
    for i, step in waiting.items():
        key: Any = i
        if isinstance(step, SearchCall | _SearchesCall):
            key = SearchCall
        elif isinstance(step, DocumentsCall):
            key = (step.index, orjson.dumps(step.params))
        elif isinstance(step, Pause):
            key = Pause
        elif isinstance(step, Call) and step.body is None:
            key = (step.method, step.path, orjson.dumps(step.params))
        groups.setdefault(key, []).append(i)
    return [(group, [waiting[i] for i in group]) for group in groups.values()]


def _answers(url: str, steps: list[Step]) -> Generator[Step, Any, list[Any]]:
    """What each is told; an error in the place of an answer."""
    try:
        if isinstance(steps[0], SearchCall | _SearchesCall) and len(steps) > 1:
            return (yield from _searched(url, steps))
        if isinstance(steps[0], DocumentsCall) and len(steps) > 1:
            return (yield from _fetched(steps))
        longest = steps[0]
        if isinstance(longest, Pause):
            longest = Pause(max(step.seconds for step in steps if isinstance(step, Pause)))
        return [(yield longest)] * len(steps)
    except Meta4Error as error:
        return [error] * len(steps)


def _searched(url: str, steps: Sequence[Step]) -> Generator[Step, Any, list[Any]]:
    parts = [
        step.calls if isinstance(step, _SearchesCall) else (step,)
        for step in steps
        if isinstance(step, SearchCall | _SearchesCall)
    ]
    lines = [
        (
            call,
            b"%b\n%b\n" % (orjson.dumps({"index": call.index, **_HEADER}), to_json(call.body)),
        )
        for call in chain.from_iterable(parts)
    ]
    found: list[Json] = []
    while lines:  # as many at once as an engine takes
        sizes = accumulate(len(line) for _, line in lines)
        n = max(1, sum(size <= _MOST_BYTES for size in sizes))
        calls, bodies = zip(*lines[:n], strict=True)
        answer = yield _SearchesCall("POST", "/_msearch", b"".join(bodies), calls=calls)
        found += answer["responses"]
        del lines[:n]
    responses = iter(found)
    told: list[Any] = []
    for step, own in zip(steps, parts, strict=True):
        got = list(islice(responses, len(own)))
        told.append({"responses": got} if isinstance(step, _SearchesCall) else _told(url, got[0]))
    return told


def _told(url: str, response: Json) -> Any:
    """What a search of several is told: its answer, or the error in its place."""
    status = response.pop("status", 200)
    return refusal(url, status, response) if "error" in response else response


def _fetched(steps: Sequence[Step]) -> Generator[Step, Any, list[Any]]:
    calls = [step for step in steps if isinstance(step, DocumentsCall)]
    wanted = {(doc["_id"], doc.get("routing")): doc for call in calls for doc in call.body["docs"]}
    first = calls[0]
    answer = yield Call("POST", first.path, {"docs": list(wanted.values())}, first.params)
    found = dict(zip(wanted, answer["docs"], strict=True))
    return [
        {"docs": [found[doc["_id"], doc.get("routing")] for doc in call.body["docs"]]}
        for call in calls
    ]
