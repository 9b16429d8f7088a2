"""Keys from ``cluster_keyring_file`` and ``cluster_encrypt_key``."""

import base64
import json
from pathlib import Path

import pytest

from gossip.limits import KEYS_MAX
from node.config.keyring_file import keyring_file
from node.config.load import ConfigError, load
from node.config.settings import Settings

KEYS = [bytes([number]) * 32 for number in range(1, KEYS_MAX + 2)]
TEXTS = [base64.b64encode(key).decode() for key in KEYS]


def read(tmp_path: Path, document: object, **overrides: str) -> Settings:
    path = tmp_path / "keys.json"
    path.write_text(json.dumps(document))
    path.chmod(0o600)
    (tmp_path / "none.conf").touch()
    flags = {"prefix": str(tmp_path), "cluster_keyring_file": str(path), **overrides}
    return load(str(tmp_path / "none.conf"), flags, {})


@pytest.mark.parametrize("document", [TEXTS[:2], {"keys": TEXTS[:2]}])
def test_a_list_as_serfs_and_an_object_are_the_same(tmp_path: Path, document: object) -> None:
    file = read(tmp_path, document).cluster_keyring_file
    assert file is not None
    assert file.keys == (KEYS[0], KEYS[1])


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "is no JSON"),
        (b"[" * 60_000, "is no JSON"),
        (b"\xff", "is no JSON"),
        (b"7", "holds no list of keys"),
        (b"[]", "holds no list of keys"),
        (b'{"keys": {}}', "holds no list of keys"),
        (json.dumps(TEXTS).encode(), f"holds {KEYS_MAX + 1} keys; {KEYS_MAX} are allowed"),
        (json.dumps([TEXTS[0], "hunter2!"]).encode(), "key 2 is no base64"),
        (json.dumps([7]).encode(), "key 1 is a key of 0 bytes"),
        (b" " * 70_000, "is longer than 65536 bytes"),
    ],
)
def test_a_file_that_is_none_is_named_without_its_content(
    tmp_path: Path, content: bytes, reason: str
) -> None:
    path = tmp_path / "keys.json"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=reason) as refusal:
        keyring_file(str(path))
    assert str(path) in str(refusal.value)
    assert not any(text in str(refusal.value) for text in (*TEXTS, "hunter2"))


def test_a_file_that_every_user_may_read_is_a_warning(tmp_path: Path) -> None:
    assert not [text for text in read(tmp_path, TEXTS[:1]).warnings if "keyring_file" in text]
    (tmp_path / "keys.json").chmod(0o644)
    flags = {"prefix": str(tmp_path), "cluster_keyring_file": str(tmp_path / "keys.json")}
    (warning,) = load(str(tmp_path / "none.conf"), flags, {}).warnings
    assert warning.startswith(f"cluster_keyring_file: {tmp_path}/keys.json: every user may read it")


def test_more_keys_than_a_keyring_holds_are_refused_together(tmp_path: Path) -> None:
    read(tmp_path, TEXTS[:KEYS_MAX], cluster_encrypt_key=TEXTS[0])  # one that the file has, too
    with pytest.raises(ConfigError, match=f"{KEYS_MAX + 1} keys; a keyring holds 1 to {KEYS_MAX}"):
        read(tmp_path, TEXTS[:KEYS_MAX], cluster_encrypt_key=TEXTS[KEYS_MAX])


def test_no_view_of_the_settings_shows_a_key(tmp_path: Path) -> None:
    settings = read(tmp_path, TEXTS[:2])
    shown = json.dumps(settings.public()) + repr(settings.cluster_keyring_file)
    assert settings.public()["cluster_keyring_file"] == str(tmp_path / "keys.json")
    assert not any(
        text in shown or repr(key) in shown for text, key in zip(TEXTS, KEYS, strict=True)
    )
