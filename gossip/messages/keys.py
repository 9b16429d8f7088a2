"""Messages about the cluster's keys. Only ever sealed."""

from typing import NamedTuple

from gossip.keyring import Keyring, encode
from gossip.messages.fields import Kinds, read_keyring


class Keys(NamedTuple):
    """The keyring that I hold. Only ever sealed."""

    keyring: Keyring


class KeysWanted(NamedTuple):
    """Send me your keyring: its counter is above mine."""


Message = Keys | KeysWanted


KINDS: Kinds = {
    40: (Keys, ((encode, read_keyring),)),
    41: (KeysWanted, ()),
}
