"""Brings a declarative document to a database, as one changeset, or says what that would change."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import NamedTuple

from store.authority import Committed, Replace
from store.declarative.difference import Difference, difference
from store.declarative.document import parse_document, read_beside, selected_tags
from store.declarative.standing import Selection, Standing, WholeState
from store.errors import EntityError, StateMoved
from store.garbage import collected_later
from store.limits import REPLACE_ATTEMPTS_MAX
from store.schema import Schema

TAKEN_MEANWHILE = (3, 5)
"""Codes of what a write is refused for that loses an id or a unique value to another node's."""


class Brought(NamedTuple):
    """What a document changes, and the write that did it."""

    difference: Difference
    committed: Committed | None
    """None when it was only to be compared."""

    @property
    def repeated(self) -> bool:
        """Whether the write is one that was committed before under the same write id, and not what
        the difference says."""
        if self.committed is None or self.committed.changeset is None:
            return False
        return set(self.committed.changes) != set(self.difference.replace.changes)


class Bringer(NamedTuple):
    """How a document gets there."""

    see: Callable[[WholeState], Awaitable[None]]
    """Show the authority's whole state."""
    commit: Callable[[Replace], Awaitable[Committed]]
    clock: Callable[[], float]
    """Unix seconds."""
    schemas: Callable[[str], Schema]


async def bring(
    text: str,
    bringer: Bringer,
    *,
    prune: bool,
    compare_only: bool = False,
    expected: Callable[[WholeState], None] = lambda state: None,
) -> Brought:
    """Make the configuration what a document says; with ``prune``, what it doesn't list goes.

    ``expected`` is shown the state and may refuse it, by an exception of its own. Raises
    EntityError (code 14 for what is wrong with the document itself), StateMoved when others keep
    writing the same entities, StateTooLarge, and AuthorityUnavailable.
    """
    with collected_later():
        return await _bring(text, bringer, prune, compare_only, expected)


async def _bring(
    text: str,
    bringer: Bringer,
    prune: bool,
    compare_only: bool,
    expected: Callable[[WholeState], None],
) -> Brought:
    for attempt in range(1, REPLACE_ATTEMPTS_MAX + 1):
        state = WholeState()
        await bringer.see(state)
        expected(state)
        # Thousands of entities take seconds; the loop goes on meanwhile.
        found = await asyncio.to_thread(_compare, text, state, bringer, prune)
        del state
        if compare_only:
            return Brought(found, None)
        try:
            return Brought(found, await bringer.commit(found.replace))
        except EntityError as error:
            meanwhile = isinstance(error, StateMoved) or error.code in TAKEN_MEANWHILE
            if not meanwhile or attempt == REPLACE_ATTEMPTS_MAX:
                raise
    raise AssertionError("the last attempt ends it")


def _compare(text: str, state: WholeState, bringer: Bringer, prune: bool) -> Difference:
    values = parse_document(text)
    selection = Selection(prune, selected_tags(values))
    standing = Standing(state, selection, bringer.schemas)
    document = read_beside(values, standing, bringer.schemas)
    return difference(document, standing, bringer.clock(), bringer.schemas)
