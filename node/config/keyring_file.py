"""The keys that the configuration names: ``cluster_keyring_file`` and ``cluster_encrypt_key``.

The file is a hashicorp/serf keyring, or the same in an object; the first key is the one to send
under:

    ["<base64>", …]        or        {"keys": ["<base64>", …]}
"""

import json
import os
import stat
from dataclasses import dataclass, field

from gossip.keyring import Keyring, KeyringRefused, configured
from gossip.limits import KEYS_MAX
from node.config.bounded_file import read_bounded
from node.config.limits import KEYRING_FILE_BYTES_MAX
from node.config.values import cluster_key


@dataclass(frozen=True, slots=True)
class KeyringFile:
    """A file as it was read. Shows its path and never a key."""

    path: str
    keys: tuple[bytes, ...] = field(repr=False)

    def __str__(self) -> str:
        return self.path


def keyring_file(path: str) -> KeyringFile:
    """Read a file. Raises ValueError, which tells the place and nothing of a key."""
    content = read_bounded(path, KEYRING_FILE_BYTES_MAX)
    try:
        document = json.loads(content)
    except (ValueError, RecursionError):
        raise ValueError(f"{path}: is no JSON; {_WAY_OUT}") from None
    texts = document.get("keys") if isinstance(document, dict) else document
    if not isinstance(texts, list) or not texts:
        raise ValueError(f"{path}: holds no list of keys; {_WAY_OUT}")
    if len(texts) > KEYS_MAX:
        raise ValueError(f"{path}: holds {len(texts)} keys; {KEYS_MAX} are allowed")
    return KeyringFile(
        path, tuple(_key(path, number, text) for number, text in enumerate(texts, 1))
    )


_WAY_OUT = 'write a list of what `grapevine cluster keygen` prints, ["…", "…"]'


def _key(path: str, number: int, text: object) -> bytes:
    try:
        return cluster_key(text if isinstance(text, str) else "")
    except ValueError as error:
        raise ValueError(f"{path}: key {number} {error}") from None


def is_readable_by_others(path: str) -> bool:
    """Whether every user of this machine may read a file."""
    try:
        return bool(os.stat(path).st_mode & stat.S_IROTH)
    except OSError:
        return False


def configured_keyring(file: KeyringFile | None, key: bytes | None) -> Keyring | None:
    """What the two settings name together, the file's first key first; None when neither is set.

    Raises ValueError when they are too many.
    """
    keys = (*(file.keys if file is not None else ()), *((key,) if key is not None else ()))
    if not keys:
        return None
    try:
        return configured(*keys)
    except KeyringRefused as error:
        raise ValueError(str(error)) from None
