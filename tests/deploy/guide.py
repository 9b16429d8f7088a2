"""Reads docs/walkthrough.md as steps that can be done.

A fenced block's info string says what it is: ``sh on MACHINE, …`` are commands, ``LANGUAGE
MACHINE:PATH`` is a file, and ``text`` is what the commands just before it print on each machine,
``…`` standing for whatever the page leaves out.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

FENCED = re.compile(r"^```([^\n]+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
WAITING = re.compile(r"^waiting: .*\n", re.MULTILINE)
LEFT_OUT = "…"


@dataclass(frozen=True, slots=True)
class Commands:
    """Something to type."""

    machines: Sequence[str]
    text: str
    prints: str = ""


@dataclass(frozen=True, slots=True)
class File:
    """Something to write."""

    machine: str
    path: str
    text: str


Step = Commands | File


def read(page: Path) -> list[Step]:
    """The page's steps in order. Raises ValueError for a block that says none."""
    steps: list[Step] = []
    for info, text in FENCED.findall(page.read_text("utf-8")):
        language, _, place = info.partition(" ")
        if language == "text" and steps and isinstance(steps[-1], Commands):
            steps[-1] = replace(steps[-1], prints=text)
        elif language == "sh" and place.startswith("on "):
            steps.append(Commands(place.removeprefix("on ").split(", "), text))
        elif ":" in place:
            machine, _, path = place.partition(":")
            steps.append(File(machine, path, text))
        else:
            raise ValueError(f"{page}: a block that begins with {info!r} is no step")
    return steps


def is_as_told(output: str, told: str) -> bool:
    """Whether a command's output is what the page says. What a slow machine is waiting for, the
    page doesn't say."""
    output = WAITING.sub("", output.replace("\r", "")).strip() + "\n"
    lines = [re.escape(line).replace(LEFT_OUT, ".*") for line in told.strip().splitlines()]
    # A line that is left out altogether may be any number of lines.
    pattern = "".join(r"(?:.*\n)*?" if line == ".*" else rf"{line} *\n" for line in lines)
    return re.fullmatch(pattern, output) is not None
