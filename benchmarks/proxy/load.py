"""wrk as the load: what it is told, and what it and the kernel say of a run.

The proxy has one core to itself; the load and the upstream share another.
"""

import asyncio
import json
import os
import resource
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

PROXY_CORE = 0
LOAD_CORE = 1
_TICKS = os.sysconf("SC_CLK_TCK")

SCRIPT = """
wrk.method = "{method}"
wrk.headers["User-Agent"] = "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0"
wrk.headers["Accept"] = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"
wrk.headers["Accept-Language"] = "en-US,en;q=0.5"
wrk.headers["Accept-Encoding"] = "gzip, deflate"
wrk.headers["Cache-Control"] = "no-cache"
wrk.headers["Cookie"] = "session=0123456789abcdef0123456789abcdef; theme=dark"
wrk.headers["Referer"] = "http://example.com/some/page"
wrk.headers["X-Requested-With"] = "XMLHttpRequest"
wrk.headers["DNT"] = "1"
wrk.headers["{key_name}"] = "{key}"
local size = {body_bytes}
if size > 0 then wrk.body = string.rep("x", size) end
done = function(summary, latency, requests)
  local e = summary.errors
  io.write(string.format(
    '\\nJSON {{"requests":%d,"microseconds":%d,"bytes":%d,"errors":%d,"p50":%d,"p99":%d}}\\n',
    summary.requests, summary.duration, summary.bytes,
    e.connect + e.read + e.write + e.status + e.timeout,
    latency:percentile(50), latency:percentile(99)))
end
"""


class Request(NamedTuple):
    """What every connection asks for, again and again: with Host, 11 header fields."""

    path: str = "/bench/1k"
    method: str = "GET"
    body_bytes: int = 0
    key: str = "none"


class Sample(NamedTuple):
    """What came of one run."""

    requests: float
    """A second."""
    bytes: float
    """Received, a second."""
    cpu: float
    """Microseconds of the proxy's processor time a request, user and system."""
    p50: float
    """Microseconds."""
    p99: float
    errors: int


def cpu_seconds(pids: Sequence[int]) -> float:
    """User and system time of these processes."""
    total = 0
    for pid in pids:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        total += int(fields[11]) + int(fields[12])
    return total / _TICKS


def resident_bytes(pid: int) -> int:
    """What of the machine's memory is a process's."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * resource.getpagesize()


def descendants(pid: int) -> list[int]:
    """A process and all that descend from it."""
    found = [pid]
    for parent in found:
        for children in Path(f"/proc/{parent}/task").glob("*/children"):
            found += [int(child) for child in children.read_text().split()]
    return found


async def run(
    folder: Path, url: str, request: Request, connections: int, seconds: float, pids: Sequence[int]
) -> Sample:
    """Load a proxy whose processes these are."""
    script = folder / "wrk.lua"
    script.write_text(
        SCRIPT.format(
            method=request.method,
            body_bytes=request.body_bytes,
            key_name="apikey",
            key=request.key,
        )
    )
    before = cpu_seconds(pids)
    process = await asyncio.create_subprocess_exec(
        *("taskset", "-c", str(LOAD_CORE), "wrk", "-t1", f"-c{connections}"),
        *(f"-d{seconds:g}s", "--timeout", "30s", "-s", str(script), url + request.path),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output = (await process.communicate())[0].decode()
    spent = cpu_seconds(pids) - before
    _, found, told = output.partition("JSON ")
    if process.returncode or not found:
        raise RuntimeError(f"wrk ended with {process.returncode}:\n{output}")
    figures = json.loads(told.partition("\n")[0])
    took = figures["microseconds"] / 1e6
    return Sample(
        figures["requests"] / took,
        figures["bytes"] / took,
        1e6 * spent / max(figures["requests"], 1),
        figures["p50"],
        figures["p99"],
        figures["errors"],
    )
