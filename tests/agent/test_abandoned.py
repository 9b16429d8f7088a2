"""What a raised epoch has left behind is kept where only its owner reads it, and bounded."""

import json
from pathlib import Path
from typing import Any

import pytest

from node.agent.abandoned import Abandoned
from node.agent.limits import ABANDONED_FILES_MAX
from store.changeset import Body, Change, Changeset, chain, encode_body
from store.version import GENESIS_DIGEST, Version

SERVICE = Change("services", "5c4b5b0e-7d2c-4b6e-9d0a-0f1e2d3c4b5a", '{"name":"ü"}')
GONE = Change("routes", "5c4b5b0e-7d2c-4b6e-9d0a-0f1e2d3c4b5b", None)


def changeset(revision: int, *changes: Change) -> Changeset:
    body = encode_body(Body(b"0123456789abcdef", 1700000000.5, "node", changes))
    digest = chain(GENESIS_DIGEST, body)
    return Changeset(Version(1, 7, revision), GENESIS_DIGEST, digest, body)


def read(path: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in Path(path).read_text().splitlines()]


def mode(path: str) -> int:
    return Path(path).stat().st_mode & 0o777


async def keep(abandoned: Abandoned, *changesets: Changeset) -> None:
    abandoned.keep(changesets)
    await abandoned.finish()


async def test_each_changeset_is_a_line_that_says_what_it_did(tmp_path: Path) -> None:
    abandoned = Abandoned(tmp_path)
    first = changeset(3, SERVICE, GONE)
    await keep(abandoned, first, changeset(4, GONE))
    (path,) = abandoned.files()
    assert path.endswith("-1.3-4.jsonl")
    lines = read(path)
    assert lines[0] == {
        "version": "1.3",
        "tag": "0000000000000007",
        "digest": first.digest.hex(),
        "committed_at": 1700000000.5,
        "origin": "node",
        "write_id": b"0123456789abcdef".hex(),
        "changes": [
            {"kind": "services", "id": SERVICE.id, "entity": {"name": "ü"}},
            {"kind": "routes", "id": GONE.id, "entity": None},
        ],
    }
    assert [line["version"] for line in lines] == ["1.3", "1.4"]


async def test_only_their_owner_may_read_them(tmp_path: Path) -> None:
    abandoned = Abandoned(tmp_path)
    await keep(abandoned, changeset(3, SERVICE))
    (path,) = abandoned.files()
    assert (mode(path), mode(str(tmp_path / "abandoned"))) == (0o600, 0o700)


async def test_the_newest_files_stay(tmp_path: Path) -> None:
    abandoned = Abandoned(tmp_path)
    for revision in range(10, ABANDONED_FILES_MAX + 13):
        await keep(abandoned, changeset(revision, SERVICE))
    names = [Path(path).name for path in abandoned.files()]
    assert len(names) == ABANDONED_FILES_MAX
    assert names[-1].endswith(f"-1.{ABANDONED_FILES_MAX + 12}-{ABANDONED_FILES_MAX + 12}.jsonl")
    assert not any(name.endswith("-1.10-10.jsonl") for name in names)


async def test_a_disk_without_room_costs_a_line_in_the_log(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "abandoned").write_text("in the way")
    abandoned = Abandoned(tmp_path)
    await keep(abandoned, changeset(3, SERVICE))
    assert abandoned.files() == []
    assert "can't be kept on disk" in caplog.text
