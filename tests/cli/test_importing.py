"""Importing much at once."""

import gc
from typing import Any

import pytest

from node.cli.importing import uncollected


def test_nothing_is_collected_meanwhile_and_everything_as_before_afterwards() -> None:
    assert gc.isenabled()
    with uncollected():
        assert not gc.isenabled()
        kept: dict[str, Any] = {"module": {}}
    assert gc.isenabled()
    assert not any(tracked is kept for tracked in gc.get_objects()), "never looked at again"


def test_an_import_that_fails_leaves_the_collector_as_it_was() -> None:
    with pytest.raises(ImportError), uncollected():
        raise ImportError("no such module")
    assert gc.isenabled()
    gc.disable()
    try:
        with uncollected():
            pass
        assert not gc.isenabled()
    finally:
        gc.enable()
