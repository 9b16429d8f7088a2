"""Cache keys as Kong writes them, and what they name here.

Kong's are ``<kind>:<value>:<4 more>:<workspace>`` (``kong/db/dao/init.lua``, ``cache_key``), the
four being empty for nearly all:

    keyauth_credentials:<key>:::::<workspace>        a unique field's value
    consumers:<id>:::::<workspace>                   an id
    acls:<consumer id>:::::<workspace>               what refers to an entity
    keyauth_credentials:<key>                        the same in short

The value may be an entity's id, that of a unique field, or the id of an entity referred to; all
entities of the kind that it leads to are meant. The workspace may be left empty, and isn't looked
at: there is one. A value with five colons or more in it reads as both forms, and both are meant.
"""

from collections.abc import Iterator
from typing import NamedTuple

from store.cold.overlay import Term
from store.replica_file.layout import term_fields
from store.schema import kinds

_COLONS = 5
"""Between a value and the end of Kong's form."""


class CacheKey(NamedTuple):
    """What a key names: entities of a kind by one of these values."""

    kind: str
    values: tuple[str, ...]

    def terms(self) -> Iterator[Term]:
        """All terms that entities of the kind may be cached under; none for one that isn't cold."""
        fields = term_fields(self.kind)
        for value in self.values:
            for field in ("id", *fields) if fields else ():
                yield self.kind, field, value


def read_cache_key(text: str) -> CacheKey:
    """Raises ValueError for a text that names no kind of entity, or nothing of it."""
    kind, _, rest = text.partition(":")
    whole = rest.rsplit(":", _COLONS)
    values = (whole[0], rest) if len(whole) > _COLONS else (rest,)
    if kind not in kinds() or not any(values):
        # What was given isn't repeated: it may be a credential.
        raise ValueError("expected <kind>:<value>, as in keyauth_credentials:<key>:::::")
    return CacheKey(kind, tuple(value for value in values if value))
