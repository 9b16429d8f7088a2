"""The folder that holds a node's files."""

import os
import stat
from pathlib import Path

import pytest

from node.agent.keepsakes import KeptKeys, load_keys, store_keys
from node.agent.prefix import PrefixError, lock_prefix, prepare_prefix

KEYS = KeptKeys("8c5d3c0e-1d7c-4a7e-9f3b-2c2f6a1f0b57", bytes(range(32)), b"sealed")


def test_a_prefix_is_locked_by_one_process_at_a_time(tmp_path: Path) -> None:
    descriptor = lock_prefix(tmp_path)
    assert (tmp_path / "grapevine.pid").read_text() == f"{os.getpid()}\n"
    with pytest.raises(PrefixError, match=f"already running in {tmp_path}"):
        lock_prefix(tmp_path)
    os.close(descriptor)
    os.close(lock_prefix(tmp_path))


def test_a_prefix_is_made_private(tmp_path: Path) -> None:
    prefix = tmp_path / "a" / "b"
    prepare_prefix(prefix)
    assert stat.S_IMODE(prefix.stat().st_mode) == 0o700


def test_a_prefix_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(PrefixError, match=r"prefix: .*file/below can't be made"):
        prepare_prefix(tmp_path / "file" / "below")


@pytest.mark.parametrize(
    "keys", [KEYS, KeptKeys(wrapped=b"sealed"), KeptKeys(KEYS.authority_id, KEYS.cluster_key)]
)
def test_the_keyring_is_kept_and_private(tmp_path: Path, keys: KeptKeys) -> None:
    assert load_keys(tmp_path) == KeptKeys()
    store_keys(tmp_path, keys)
    assert load_keys(tmp_path) == keys
    assert stat.S_IMODE((tmp_path / "keyring").stat().st_mode) == 0o600


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[]",
        b"{}",
        b'{"authority_id": 1}',
        b'{"cluster_key": "AA=="}',
        b'{"keyring": 7}',
        b'{"keyring": "!"}',
        b"\xff",
    ],
)
def test_a_damaged_keyring_is_none(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "keyring").write_bytes(content)
    assert load_keys(tmp_path) == KeptKeys()
