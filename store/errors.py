"""What can go wrong in the store, in Kong's terms where a client sees it (db/errors.lua)."""

from typing import Any

from store.history import Server, Standing


class EntityError(Exception):
    """A request that the entities' rules refuse. Renders as Kong's error object.

    ``code`` and ``name`` are Kong's (2 "schema violation", 3 "primary key violation",
    4 "foreign key violation", 5 "unique constraint violation", 6 "not found", 7 "invalid offset",
    9 "invalid size", 11 "invalid options", …); ``fields`` maps field names to messages, nested as
    the entity is.
    """

    def __init__(self, code: int, name: str, message: str, fields: dict[str, Any]) -> None:
        super().__init__(message)
        self.code = code
        self.name = name
        self.message = message
        self.fields = fields


class PreconditionFailed(EntityError):
    """A write on a condition (``store.authority.IfMatch``) that the entity doesn't meet."""

    def __init__(self) -> None:
        message = "the entity is not as If-Match names it: it has changed meanwhile, or is gone"
        super().__init__(0, "precondition failed", message, {})


class StateMoved(EntityError):
    """Rows that were made from a state (``store.authority.Replace``) which isn't the newest any
    more: they are to be made again."""

    def __init__(self) -> None:
        message = "the configuration was changed meanwhile; try again"
        super().__init__(0, "state moved", message, {})


class AuthorityUnavailable(Exception):
    """The authority can't be reached or can't answer now; the message says why, for a 503."""


class Overloaded(AuthorityUnavailable):
    """Too many writes of this node wait, or one has for too long; the authority may be well."""


class OutcomeUnknown(AuthorityUnavailable):
    """The connection died in COMMIT and the write could not be looked up (503, outcome unknown)."""

    def __init__(self, reason: str, write_id: bytes) -> None:
        super().__init__(reason)
        self.write_id = write_id


class HistoryForked(AuthorityUnavailable):
    """The authority's history has lost what was confirmed before: nothing may be written to it
    until its epoch is raised (``Authority.raise_epoch``).

    ``unknown`` is what is to be told of the write if it isn't made after that either: another
    server may have committed it. None: then it is not made.
    """

    def __init__(self, standing: Standing) -> None:
        super().__init__(standing)
        self.standing = standing
        self.unknown: OutcomeUnknown | None = None

    def __str__(self) -> str:
        head, server, proof = self.standing
        lost = "lost commits" if proof == "below" else "other commits under the same revisions"
        return f"the database at {server.address} has {lost}: it stands at {head.version}"


class CommitLost(Exception):
    """COMMIT was sent and not answered: whether it took effect isn't known.

    ``result`` is what the transaction answers if it did. ``server`` is whom it was sent to; None
    where there is one only, or nobody knows.
    """

    def __init__(self, reason: str, result: Any, server: Server | None = None) -> None:
        super().__init__(reason)
        self.result = result
        self.server = server


class SchemaMismatch(AuthorityUnavailable):
    """The authority's schema is missing, older or newer than this software; says what to type."""


class MigrationRefused(Exception):
    """A migration command that would damage something; the message says what and the way out."""
