"""Several clients at once, each a process of its own."""

from dataclasses import asdict, dataclass

import numpy as np

from ..collection import Body
from ..cpu import ServerCpu
from ..processes import askers
from .bench import BARRED, Bench


@dataclass(frozen=True)
class Throughput:
    """Of one side; medians over the rounds.

    Attributes:
        per_second: requests of all clients together.
        server_cpu_ms, client_cpu_ms: a request.
    """

    per_second: float
    server_cpu_ms: float
    client_cpu_ms: float


def clients(bench: Bench) -> Body:
    """By recall: requests a second of each side, in turn."""
    counts, cpu = bench.counts, ServerCpu(bench.engine)
    found: Body = {"clients": counts.clients}
    with askers(bench.engine.url, counts.clients) as ask:
        for recall in BARRED:
            bodies = {
                side: [side.body(question) for question in bench.asked]
                for side in bench.at_equal_recall(recall)
            }
            rounds: dict[str, list[Throughput]] = {side.name: [] for side in bodies}
            for number in range(counts.rounds + 1):
                for side, own in bodies.items():
                    before = cpu.seconds()
                    answers = ask(side, own, counts.seconds)
                    n = sum(answer.requests for answer in answers)
                    one = Throughput(
                        sum(answer.requests / answer.seconds for answer in answers),
                        (cpu.seconds() - before) * 1000 / n,
                        sum(answer.cpu_seconds for answer in answers) * 1000 / n,
                    )
                    if number:  # the first round warms
                        rounds[side.name].append(one)
            medians = {name: asdict(_median(each)) for name, each in rounds.items()}
            found[f"{recall:g}"] = medians
            bench.say(
                f"{counts.clients} clients, recall {recall:g}",
                {name: f"{one['per_second']:.0f}/s" for name, one in medians.items()},
            )
    return found


def _median(each: list[Throughput]) -> Throughput:
    rows = [tuple(asdict(one).values()) for one in each]
    return Throughput(*(float(value) for value in np.median(rows, axis=0)))
