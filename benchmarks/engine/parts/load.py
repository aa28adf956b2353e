"""Loading and merging, ours and all rivals, one after the other."""

from dataclasses import asdict

from ..collection import Body
from ..sides import OURS
from .bench import Bench


def load(bench: Bench) -> Body:
    """Seconds, CPU and bytes by side."""
    loaded = {OURS: bench.indexes.load_ours()}
    for kind in bench.indexes.kinds:
        loaded[kind.name] = bench.indexes.load(kind)
    seconds = {name: one.seconds + one.merge_seconds for name, one in loaded.items()}
    bench.say("load and merge", {name: f"{took:.0f} s" for name, took in seconds.items()})
    return {name: asdict(one) for name, one in loaded.items()}
