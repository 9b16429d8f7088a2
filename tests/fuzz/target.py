"""A target: one kind of input from outside, and what must hold whatever it is."""

import importlib
import os
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
CORPUS = HERE / "corpus"


@dataclass(frozen=True)
class Target:
    """What a module of ``tests.fuzz.targets`` calls TARGET. The module's name is the target's."""

    attack: Callable[[bytes], None]
    """What one input does: the same each time, by itself. Raises when a property is broken."""
    seeds: Sequence[bytes]
    """Inputs to begin with, made by code: they follow when a format changes."""
    words: Sequence[bytes] = ()
    """Bytes with a meaning, for mutations to put in."""
    bytes_max: int = 1_000
    """Of one input: what is longer is slower to search, and seldom says more."""


def names() -> list[str]:
    """All targets."""
    found = (HERE / "targets").glob("*.py")
    return sorted(path.stem for path in found if path.stem != "__init__")


def load(name: str) -> Target:
    """A target by its name."""
    target = importlib.import_module(f"tests.fuzz.targets.{name}").TARGET
    assert isinstance(target, Target)
    return target


def corpus(name: str) -> list[Path]:
    """The inputs of a target that stand in the tree."""
    return sorted((CORPUS / name).glob("*"))


def in_memory() -> tempfile.TemporaryDirectory[str]:
    """A folder for inputs that are files, not on a disk where that is possible."""
    memory = "/dev/shm"
    usable = os.access(memory, os.W_OK)
    return tempfile.TemporaryDirectory(prefix="grapevine-fuzz-", dir=memory if usable else None)
