"""Registers on disk: what comes back after a restart, and what of damage and clocks."""

import json
from pathlib import Path

import pytest

from gossip.messages.registers import Register
from node.agent.registers import KeptRegisters
from tests.gossip.drive import node_id

LASTING = Register("a", 7, node_id(1), 2**64 - 1, "ü\u2028", None)
DELETED = Register("b", 2**62, node_id(2), 0, None, None)
ENDING = Register("c", 1, node_id(1), 3, "debug", 60.0)


class Clock:
    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


async def kept(prefix: Path, clock: Clock, *registers: Register) -> KeptRegisters:
    kept = KeptRegisters(prefix, lambda: registers, clock)
    kept.changed()
    await kept.finish()
    return KeptRegisters(prefix, lambda: (), clock)


async def test_all_come_back_deleted_ones_too(tmp_path: Path) -> None:
    loaded = (await kept(tmp_path, Clock(), LASTING, DELETED, ENDING)).load()
    assert loaded == [LASTING, DELETED, ENDING]
    assert (tmp_path / "registers.json").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    ("passed", "left"), [(0.0, 60.0), (20.0, 40.0), (61.0, 0.0), (-3_600.0, 60.0)]
)
async def test_what_ends_by_itself_never_holds_longer_than_it_was_to(
    tmp_path: Path, passed: float, left: float
) -> None:
    clock = Clock()
    again = await kept(tmp_path, clock, ENDING)
    clock.now += passed
    assert again.load() == [ENDING._replace(remaining=left)]


def test_nothing_was_kept_before_the_first_start(tmp_path: Path) -> None:
    assert KeptRegisters(tmp_path, lambda: ()).load() == []


@pytest.mark.parametrize(
    "changed",
    [
        {"name": ""},
        {"name": "n" * 65},
        {"counter": 0},
        {"node_id": "x"},
        {"tag": -1},
        {"value": 7},
        {"remaining": 60.0},
        {"remaining": "x", "ends_at": 0},
    ],
)
async def test_what_nobody_could_have_sent_is_left_out(
    tmp_path: Path, changed: dict[str, object]
) -> None:
    again = await kept(tmp_path, Clock(), LASTING)
    path = tmp_path / "registers.json"
    stored = json.loads(path.read_text())
    stored["registers"][0].update(changed)
    path.write_text(json.dumps(stored))
    assert again.load() == []


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"registers": 7}', '{"registers": [7]}'])
def test_a_damaged_file_is_left_out(tmp_path: Path, content: str) -> None:
    (tmp_path / "registers.json").write_text(content)
    assert KeptRegisters(tmp_path, lambda: ()).load() == []
