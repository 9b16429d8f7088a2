"""What a run has shown, in counts: for people, and as JSON for docs/reliability.md."""

import json
from collections.abc import Mapping
from typing import Any

from simulations.real.checker import Verdict
from simulations.real.options import Options


def summed_up(
    options: Options,
    verdict: Verdict,
    injected: Mapping[str, int],
    impossible: Mapping[str, str],
    relay: Mapping[str, int],
    seconds: float,
    longest_calm: float,
) -> dict[str, Any]:
    """Everything that is counted of a run."""
    return {
        "command": options.line(),
        "where": "namespaces" if options.enclosed else "loopback",
        "ok": verdict.ok,
        "seconds": round(seconds, 1),
        "faults": dict(sorted(injected.items())),
        "faults_total": sum(injected.values()),
        "not_possible_here": dict(impossible),
        "counts": dict(sorted(verdict.counts.items())),
        "excused_by": dict(sorted(verdict.excused.items())),
        "relay": dict(sorted(relay.items())),
        "longest_calm_seconds": round(longest_calm, 1),
        "violations": verdict.violations,
    }


def lines(summary: Mapping[str, Any]) -> list[str]:
    """The same as text."""
    told = []
    for name, value in summary.items():
        if not isinstance(value, dict):
            told.append(f"{name:22} {value}")
            continue
        if value:
            told.append(name.replace("_", " "))
        for inner, some in value.items():
            if isinstance(some, list):
                told.append(f"  VIOLATED: {inner}")
                told += [f"    {one}" for one in some]
            else:
                told.append(f"  {inner:32} {some}")
    return told


def encoded(summary: Mapping[str, Any]) -> str:
    """One JSON object."""
    return json.dumps(summary, indent=1)
