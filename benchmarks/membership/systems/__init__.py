"""The systems that are compared: how each is started, and what its lines say.

A system's agent is one process (with its children) that prints a line for each thing it learns of a
member. Nothing else of it is used: no API, no file, no change to its code.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple, Protocol

Kind = Literal["up", "joining", "alive", "suspect", "failed", "left"]


class Unavailable(Exception):
    """A system or a measure can't be had on this machine; the message says why."""


class Said(NamedTuple):
    """What a line says: of a member, or (``up``, ``joining``) of the agent itself."""

    kind: Kind
    member: str = ""


@dataclass(frozen=True, slots=True)
class Seat:
    """Where an agent runs. The ports are free there, for UDP and TCP."""

    name: str
    host: str
    port: int
    spare_port: int
    home: Path

    @property
    def address(self) -> str:
        return f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Launch:
    """A command, and what is to be in its environment beside the inherited."""

    command: list[str]
    environment: dict[str, str]


class System(Protocol):
    """One of the compared systems."""

    name: str
    tells_recovery: bool
    """Whether a line tells that a suspected member is alive after all."""

    async def prepare(self) -> str:
        """Get what it needs on this machine; answers its version. Raises Unavailable."""

    async def found(self, home: Path) -> None:
        """Make what the agents of one cluster share, in an empty folder."""

    def launch(self, seat: Seat, seeds: list[str], key: str | None) -> Launch:
        """How to start an agent, profile lan, that joins by ``seeds`` (none for the first one).

        ``key`` is 32 bytes in base64 for encrypted traffic.
        """

    def read(self, line: str) -> Said | None:
        """What a line of an agent says, if anything."""
