"""The identity file."""

import json
import stat
import uuid
from pathlib import Path

import pytest

from node.agent.identity import StoredIdentity, load_identity, store_identity
from node.agent.prefix import PrefixError

NODE_ID = "8c5d3c0e-1d7c-4a7e-9f3b-2c2f6a1f0b57"


def test_a_new_prefix_draws_a_node_id_and_begins_before_the_first_generation(
    tmp_path: Path,
) -> None:
    first, second = load_identity(tmp_path), load_identity(tmp_path)
    assert uuid.UUID(first.node_id).version == 4
    assert first.node_id != second.node_id, "nothing is kept until it is stored"
    assert (first.generation, first.incarnation) == (0, 0)


def test_what_was_stored_is_read_again_and_is_private(tmp_path: Path) -> None:
    stored = StoredIdentity(str(uuid.uuid4()), 7, 3)
    store_identity(tmp_path, stored)
    assert load_identity(tmp_path) == stored
    assert stat.S_IMODE((tmp_path / "identity.json").stat().st_mode) == 0o600
    assert [path.name for path in tmp_path.iterdir()] == ["identity.json"]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{]",
        b"[]",
        b"\xff\xfe",
        b"{}",
        b'{"node_id": "gw1", "generation": 1, "incarnation": 1}',
        b'{"node_id": 5, "generation": 1, "incarnation": 1}',
        json.dumps({"node_id": NODE_ID, "generation": -1, "incarnation": 1}).encode(),
        json.dumps({"node_id": NODE_ID, "generation": 2**62, "incarnation": 1}).encode(),
        json.dumps({"node_id": NODE_ID, "generation": "1", "incarnation": 1}).encode(),
    ],
)
def test_a_damaged_identity_is_an_error_that_names_the_way_out(
    tmp_path: Path, content: bytes
) -> None:
    (tmp_path / "identity.json").write_bytes(content)
    with pytest.raises(PrefixError, match=r"identity\.json is damaged .* remove it"):
        load_identity(tmp_path)
