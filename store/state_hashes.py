"""The state hashes of the latest versions, for comparing with a replica that is a little behind."""

from collections import OrderedDict

from store.limits import STATE_HASHES_MAX
from store.version import Version


class StateHashes:
    """By version, the oldest go first."""

    def __init__(self, version: Version, state_hash: bytes) -> None:
        self._by_version = OrderedDict({version: state_hash})

    def note(self, version: Version, state_hash: bytes) -> None:
        """Remember that of the next version."""
        self._by_version[version] = state_hash
        if len(self._by_version) > STATE_HASHES_MAX:
            self._by_version.popitem(last=False)

    def of(self, version: Version) -> bytes | None:
        """None when it isn't remembered, or this history never had it."""
        return self._by_version.get(version)
