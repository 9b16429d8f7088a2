"""Messages about registers (``gossip.registers``)."""

from typing import NamedTuple

from gossip import limits
from gossip.messages.fields import (
    COUNTER,
    NODE_ID,
    Field,
    Kinds,
    Malformed,
    integer,
    milliseconds,
    read_text,
)


class Register(NamedTuple):
    """What a name stands for, as whoever knows it passes it on."""

    name: str
    counter: int
    node_id: str
    tag: int
    """The setter's, of its process."""
    value: str | None
    """None: deleted, or over."""
    remaining: float | None
    """Seconds until it is over; None: never. Travels in whole milliseconds, rounded up."""

    @property
    def rank(self) -> tuple[int, str, int]:
        """Of two the one with the greater rank holds."""
        return self.counter, self.node_id, self.tag


Message = Register


def _read_name(raw: object) -> str:
    name = read_text(raw, limits.REGISTER_NAME_BYTES_MAX)
    if not name:
        raise Malformed("a register without a name")
    return name


def _read_value(raw: object) -> str | None:
    return None if raw is None else read_text(raw, limits.REGISTER_VALUE_BYTES_MAX)


_VALUE: Field = (lambda value: value, _read_value)

KINDS: Kinds = {
    95: (
        Register,
        (
            (str, _read_name),
            COUNTER,
            NODE_ID,
            integer(0, limits.TAG_MAX),
            _VALUE,
            milliseconds(limits.REGISTER_SECONDS_MAX),
        ),
    ),
}
