"""Which changes workers are sent: those of kinds that they hold in memory (DESIGN 7).

There may be a million consumers and credentials; no worker keeps them.
"""

from collections.abc import Iterable, Iterator

from node.channel import Change
from store.schema import cold_kinds

_COLD = cold_kinds()


def hot(changes: Iterable[Change]) -> Iterator[Change]:
    """The changes without those of cold kinds. Kinds that this version doesn't know stay."""
    return (change for change in changes if change[0] not in _COLD)
