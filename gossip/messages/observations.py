"""Messages about what members observe outside of the cluster (``gossip.observations``)."""

from typing import NamedTuple

from gossip import limits
from gossip.messages.fields import Field, Kinds, read_bytes


class Observation(NamedTuple):
    """What the sender says it has found; its meaning is the application's."""

    body: bytes


Message = Observation

_BODY: Field = (bytes, lambda raw: read_bytes(raw, 1, limits.OBSERVATION_BYTES_MAX))

KINDS: Kinds = {110: (Observation, (_BODY,))}
