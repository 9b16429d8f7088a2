"""The messages of the protocol, by subject, and how they are told apart on the wire.

On the wire a message is a kind byte and a msgpack array of its fields, in the order given there.
Fields are only ever added at the end, with a default; readers ignore fields beyond those they know,
and skip kinds they don't know. Everything read is checked: what gets past ``read_message`` is
within the bounds of ``gossip.limits``.
"""

from collections.abc import Sequence
from typing import Any

from gossip.messages import (
    changes,
    fence,
    history,
    keys,
    membership,
    observations,
    purges,
    registers,
    repair,
    spreading,
)
from gossip.messages.fields import Field, Malformed
from gossip.messages.membership import Alive, Verdict

Message = (
    membership.Message
    | changes.Message
    | keys.Message
    | spreading.Message
    | fence.Message
    | purges.Message
    | registers.Message
    | repair.Message
    | history.Message
    | observations.Message
)

_SUBJECTS = (
    membership,
    changes,
    keys,
    spreading,
    fence,
    purges,
    registers,
    repair,
    history,
    observations,
)
_KINDS: dict[int, tuple[type[Any], tuple[Field, ...]]] = {}
for _subject in _SUBJECTS:
    assert not _KINDS.keys() & _subject.KINDS.keys(), "a number has one meaning"
    _KINDS |= _subject.KINDS
_NUMBERS = {message: kind for kind, (message, _) in _KINDS.items()}
CLAIMS = frozenset({_NUMBERS[Alive], _NUMBERS[Verdict]})
"""The kinds that say something of a node, and are passed on as they are."""


def message_fields(message: Message) -> tuple[int, list[object]]:
    """The kind's number and the fields as msgpack takes them."""
    kind = _NUMBERS[type(message)]
    writers = _KINDS[kind][1]
    return kind, [write(value) for value, (write, _) in zip(message, writers, strict=True)]


def is_known(kind: int) -> bool:
    """Whether this version knows a kind of message."""
    return kind in _KINDS


def read_message(kind: int, fields: Sequence[object]) -> Message:
    """The message of a known kind. Raises Malformed."""
    kind_of, readers = _KINDS[kind]
    if len(fields) < len(readers) - len(kind_of._field_defaults):
        raise Malformed(f"{kind_of.__name__} with {len(fields)} fields of {len(readers)}")
    message: Message = kind_of(
        *(read(raw) for raw, (_, read) in zip(fields, readers, strict=False))
    )
    return message
