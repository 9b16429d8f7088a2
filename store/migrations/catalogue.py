"""Which migrations there are, which were run, and what is to be done next. Reads no database."""

import hashlib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Literal

from store.errors import MigrationRefused

Phase = Literal["pre", "post"]
_NAME = re.compile(r"([0-9]{4})_([a-z0-9_]+)\.(pre|post)\.sql")


@dataclass(frozen=True, slots=True, order=True)
class Migration:
    """One SQL file."""

    number: int
    phase: Phase
    name: str
    sql: str

    @property
    def checksum(self) -> str:
        """SHA-256 of the text, by which a file that was changed after it ran is found."""
        return hashlib.sha256(self.sql.encode()).hexdigest()

    @property
    def label(self) -> str:
        return f"{self.number:04d}_{self.name}.{self.phase}"


@dataclass(frozen=True, slots=True)
class Applied:
    """A row of the table ``migration``."""

    number: int
    phase: Phase
    name: str
    checksum: str

    @property
    def label(self) -> str:
        return f"{self.number:04d}_{self.name}.{self.phase}"


@dataclass(frozen=True, slots=True)
class Status:
    """Where a database stands."""

    bootstrapped: bool
    applied: tuple[str, ...] = ()
    """Labels, in the order of the files."""
    pending_pre: tuple[str, ...] = ()
    """What ``grapevine migrations up`` would run."""
    pending_post: tuple[str, ...] = ()
    """What ``grapevine migrations finish`` would run."""
    newer: tuple[str, ...] = ()
    """What only a newer version of this software knows, and has run."""


def load(engine: str) -> tuple[Migration, ...]:
    """The files of an engine (``sqlite``, ``postgres``): by number, ``pre`` before ``post``."""
    found = []
    for file in files("store.migrations").joinpath(engine).iterdir():
        match = _NAME.fullmatch(file.name)
        if match is None:
            continue
        number, name, phase = match.groups()
        found.append(
            Migration(int(number), "pre" if phase == "pre" else "post", name, file.read_text())
        )
    return in_order(found)


def in_order(migrations: Iterable[Migration]) -> tuple[Migration, ...]:
    """By number, ``pre`` before ``post``. Raises ValueError for gaps and doubles."""
    ordered = tuple(sorted(migrations, key=lambda item: (item.number, item.phase == "post")))
    numbers = [item.number for item in ordered if item.phase == "pre"]
    if numbers != list(range(1, len(numbers) + 1)):
        raise ValueError(f"migrations must be numbered 1, 2, 3, …, not {numbers}")
    return ordered


def status(migrations: Sequence[Migration], applied: Sequence[Applied]) -> Status:
    """Compare files and database. Raises MigrationRefused when a file was changed since it ran."""
    done = {(row.number, row.phase): row for row in applied}
    for item in migrations:
        row = done.get((item.number, item.phase))
        if row is not None and row.checksum != item.checksum:
            raise MigrationRefused(
                f"migration {item.label} was changed after it ran on this database;"
                " install the version of grapevine that the database was migrated with"
            )
    known = {(item.number, item.phase) for item in migrations}
    pending = [item for item in migrations if (item.number, item.phase) not in done]
    return Status(
        bootstrapped=True,
        applied=tuple(row.label for row in applied),
        pending_pre=tuple(item.label for item in pending if item.phase == "pre"),
        pending_post=tuple(item.label for item in pending if item.phase == "post"),
        newer=tuple(row.label for row in applied if (row.number, row.phase) not in known),
    )
