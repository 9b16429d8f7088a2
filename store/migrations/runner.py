"""What the migration runners of both engines have in common."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from store.authority import AuthorityInfo
from store.errors import MigrationRefused
from store.migrations import catalogue
from store.migrations.catalogue import Applied, Migration, Phase, Status


@dataclass(frozen=True, slots=True)
class Bootstrapped:
    """The outcome of a bootstrap."""

    info: AuthorityInfo
    created: bool
    """False when the database had been bootstrapped before; then nothing was changed."""


class Migrations(Protocol):
    """The ``grapevine migrations`` commands for one database.

    Each raises MigrationRefused, SchemaMismatch or AuthorityUnavailable with a sentence for the
    operator. Safe to run from several machines at once.
    """

    @property
    def target(self) -> str:
        """What is migrated, as the operator knows it: a file, a schema of a database."""

    @property
    def confirmation(self) -> str:
        """What must be typed before everything is dropped."""

    async def bootstrap(self) -> Bootstrapped:
        """Make the tables, the authority id, the cluster key and epoch 1, unless they are there."""

    async def status(self) -> Status:
        """What was run and what is pending."""

    async def up(self) -> tuple[str, ...]:
        """Run all pending ``pre`` files; answers their labels."""

    async def finish(self) -> tuple[str, ...]:
        """Run all pending ``post`` files. Refuses while a ``pre`` file is pending."""

    async def reset(self, confirmation: str) -> None:
        """Drop the authority's tables if ``confirmation`` was typed right."""


def to_run(
    migrations: Sequence[Migration], applied: Sequence[Applied], phase: Phase, target: str
) -> tuple[Migration, ...]:
    """A phase's pending files, in order. Raises MigrationRefused for ``post`` before ``pre``."""
    state = catalogue.status(migrations, applied)
    if phase == "post" and state.pending_pre:
        raise MigrationRefused(
            f"{target}: {', '.join(state.pending_pre)} must run first;"
            " run 'grapevine migrations up'"
        )
    labels = state.pending_pre if phase == "pre" else state.pending_post
    return tuple(item for item in migrations if item.label in labels)


def never_bootstrapped(migrations: Sequence[Migration]) -> Status:
    """The status of a database without our tables."""
    return Status(bootstrapped=False, pending_pre=tuple(item.label for item in migrations))
