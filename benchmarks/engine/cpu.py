"""CPU that the server's processes and this one have used."""

import time

from meta4.adapter.engines.engine import Engine

#: The kind of clock that counts a process's scheduled time, as clock_getcpuclockid(3) makes one.
_SCHEDULED = 2


class ServerCpu:
    """The CPU time of an engine's nodes on this machine, all threads, dead ones too.

    It is what /proc/PID/stat says, in nanoseconds in place of hundredths of a second, so that it
    can be read before and after each request.
    """

    def __init__(self, engine: Engine) -> None:
        nodes = engine.request("GET", "/_nodes/process")["nodes"].values()
        self._clocks = [(~int(node["process"]["id"]) << 3) | _SCHEDULED for node in nodes]

    def seconds(self) -> float:
        """Since the nodes were started."""
        return sum(time.clock_gettime_ns(clock) for clock in self._clocks) / 1e9


def client_seconds() -> float:
    """Of this process, all threads, since it was started."""
    return time.process_time_ns() / 1e9
