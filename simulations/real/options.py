"""What a run is asked to do."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

SECONDS = 1_200.0
SHORT_SECONDS = 45.0
NODES_MIN, NODES_MAX = 2, 9
SECONDS_MAX = 86_400.0


@dataclass(frozen=True, slots=True)
class Options:
    """Of one run. ``folder`` takes its logs and its history, ``scratch`` what goes with it."""

    seconds: float
    """How long faults are injected; start, the last calm and the checks come on top."""
    seed: int
    nodes: int
    faults: tuple[str, ...]
    """Kinds to draw from; all that are possible here when it is empty."""
    short: bool
    folder: Path
    scratch: Path
    enclosed: bool
    """Whether this process has namespaces of its own."""

    def encoded(self) -> str:
        return json.dumps(
            {**asdict(self), "folder": str(self.folder), "scratch": str(self.scratch)}
        )

    def line(self) -> str:
        """The command that runs this again."""
        words = [f"python -m simulations real --seed {self.seed} --nodes {self.nodes}"]
        words.append(f"--seconds {self.seconds:g}")
        if self.short:
            words.append("--short")
        if self.faults:
            words.append(f"--faults {','.join(self.faults)}")
        if not self.enclosed:
            words.append("--where loopback")
        return " ".join(words)


def decoded(text: str) -> Options:
    """What ``encoded`` has written."""
    fields = json.loads(text)
    for name in ("folder", "scratch"):
        fields[name] = Path(fields[name])
    fields["faults"] = tuple(fields["faults"])
    return Options(**fields)
