"""Bulk requests side by side, as many as the cluster takes without pushing back."""

import random
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from ...errors import PushedBackError, RefusedError, UnreachableError
from ...ingest.bulk import Action, in_groups
from ...ingest.documents import Refusal
from ..engines.engine import Engine
from ..engines.faults import is_read_only, may_pass, refusal, root_cause

#: Bulk requests that run at once at most.
MOST_AT_ONCE = 8
#: Seconds without a single document taken, after which a load gives up.
PATIENCE = 300.0
_FIRST_PAUSE, _LONGEST_PAUSE = 0.2, 10.0
#: Answers for one document that are no fault of its own: no rights, no index.
_NO_FAULT_OF_ITS = frozenset({401, 403, 404})
#: Answers for a whole request that a smaller one may not get.
_TO_SPLIT = frozenset({400, 413})


@dataclass
class Outcome:
    """What became of some documents.

    Attributes:
        n_indexed: acknowledged.
        n_overtaken: not written, as their condition did not hold any more.
        refusals: not written, with reasons.
    """

    n_indexed: int = 0
    n_overtaken: int = 0
    refusals: list[Refusal] = field(default_factory=list)


class Throttle:
    """How many requests may run at once.

    One more for each round without push-back, half as many after one: additive increase and
    multiplicative decrease (Chiu & Jain, Computer Networks and ISDN Systems 17, 1989).
    """

    def __init__(self) -> None:
        self._limit = 1.0
        self._lock = threading.Lock()

    @property
    def limit(self) -> int:
        """How many now."""
        return int(self._limit)

    def went_well(self) -> None:
        """A request was taken whole."""
        with self._lock:
            self._limit = min(float(MOST_AT_ONCE), self._limit + 1.0 / self._limit)

    def pushed_back(self) -> None:
        """A request was turned away, in whole or in part."""
        with self._lock:
            self._limit = max(1.0, self._limit / 2.0)


class BulkSender:
    """Sends documents; ids make it harmless to send one twice.

    A context: leaving it ends what still waits.

    Args:
        engine: where.
        index: into which index.
        params: of every request.
    """

    def __init__(self, engine: Engine, index: str, params: Mapping[str, str]) -> None:
        self._engine = engine
        self._index = index
        self._params = params
        self.throttle = Throttle()
        self._pool = ThreadPoolExecutor(MOST_AT_ONCE, thread_name_prefix="meta4-bulk")
        self._ended = threading.Event()

    def __enter__(self) -> "BulkSender":
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._pool.shutdown(cancel_futures=True)

    def send(self, actions: Sequence[Action]) -> "Future[Outcome]":
        """Index documents, with as many tries as it takes.

        The future raises:
            UnreachableError, PushedBackError: nothing was taken for `PATIENCE` seconds.
            RefusedError: no fault of the documents: no rights, or a block on writes.
            NotFoundError: no such index.
        """
        return self._pool.submit(self._send_all, actions)

    def _send_all(self, actions: Sequence[Action]) -> Outcome:
        outcome = Outcome()
        for group in in_groups(actions):
            self._send(group, outcome)
        return outcome

    def _send(self, actions: list[Action], outcome: Outcome) -> None:
        pauses = _pauses()
        taken_at = time.monotonic()
        while actions:
            try:
                items = self._bulk(actions)
            except (UnreachableError, PushedBackError) as error:
                failure: Exception = error
            except RefusedError as error:
                if error.status not in _TO_SPLIT:
                    raise
                if len(actions) == 1:
                    outcome.refusals.append(Refusal.of(actions[0].document, str(error)))
                else:
                    half = len(actions) // 2
                    self._send(actions[:half], outcome)
                    self._send(actions[half:], outcome)
                return
            else:
                n_before = len(actions)
                actions, reason = self._settle(actions, items, outcome)
                if not actions:
                    self.throttle.went_well()
                    return
                if len(actions) < n_before:
                    taken_at = time.monotonic()
                failure = PushedBackError(f"{self._engine.url}: {reason}")
            self.throttle.pushed_back()
            waited = time.monotonic() - taken_at
            if waited > PATIENCE or self._ended.wait(next(pauses)):
                raise failure

    def _bulk(self, actions: list[Action]) -> list[dict[str, Any]]:
        payload = b"".join(action.line for action in actions)
        return self._engine.bulk(self._index, payload, dict(self._params))

    def _settle(
        self, actions: list[Action], items: list[dict[str, Any]], outcome: Outcome
    ) -> tuple[list[Action], str]:
        """Count what was indexed, note what was refused; gives what is worth another try."""
        again: list[Action] = []
        why = ""
        for action, item in zip(actions, items, strict=True):
            status = item["status"]
            if status < 300 or item.get("result") == "not_found":  # deleted already
                outcome.n_indexed += 1
                continue
            if status == 409 and action.document.only_if is not None:
                outcome.n_overtaken += 1
                continue
            reason = root_cause(item)
            if may_pass(status, reason):
                again.append(action)
                why = reason
            elif status in _NO_FAULT_OF_ITS or is_read_only(reason):
                raise refusal(self._engine.url, status, item)
            else:
                outcome.refusals.append(Refusal.of(action.document, reason))
        return again, why


def _pauses() -> Iterator[float]:
    """Seconds: growing, and never the same for two that were turned away together."""
    pause = _FIRST_PAUSE
    while True:
        yield random.uniform(pause / 2, pause)
        pause = min(2 * pause, _LONGEST_PAUSE)
