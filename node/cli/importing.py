"""Importing much at once."""

import contextlib
import gc
from collections.abc import Iterator

from store.garbage import collected_later


@contextlib.contextmanager
def uncollected() -> Iterator[None]:
    """Import within this. Modules are no garbage, and to look for some among them takes a seventh
    of a node's imports; nor are they looked through later, which a running node would feel."""
    with collected_later():
        try:
            yield
        finally:
            gc.freeze()
