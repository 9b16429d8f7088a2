"""The records of raised epochs, and what they say of a version: is it part of this history?

A record is an entity of the kind ``EPOCHS``: it comes with the changeset that raised the epoch, and
stays. Together they are the line of epochs that led to the head.
"""

import contextlib
from collections.abc import Iterable, Sequence
from typing import Any

from store.canonical import decode_entity, encode_entity
from store.history import Epoch, Reach
from store.version import Head, Version


def encode_record(record_id: str, epoch: Epoch) -> str:
    """The text of a record."""
    return encode_entity(
        {
            "id": record_id,
            "epoch": epoch.epoch,
            "tag": _hex(epoch.tag),
            "fork_revision": epoch.fork_revision,
            "kept": _head_shown(epoch.kept),
            "abandoned": _head_shown(epoch.abandoned),
            "at": epoch.at,
            "origin": epoch.origin,
        }
    )


def decode_record(text: str) -> Epoch:
    """Read a record; later fields are ignored. Raises ValueError when it isn't one."""
    entity = decode_entity(text)
    try:
        return Epoch(
            int(entity["epoch"]),
            int(entity["tag"], 16),
            int(entity["fork_revision"]),
            _head_read(entity["kept"]),
            _head_read(entity["abandoned"]),
            float(entity["at"]),
            str(entity["origin"]),
        )
    except (KeyError, TypeError) as error:
        raise ValueError(f"not the record of an epoch: {error!r}") from error


def decode_records(texts: Iterable[str]) -> list[Epoch]:
    """Those of some records that can be read: a newer version may have changed the form."""
    epochs = []
    for text in texts:
        with contextlib.suppress(ValueError):
            epochs.append(decode_record(text))
    return epochs


def reach(head: Version, version: Version, epochs: Sequence[Epoch]) -> Reach:
    """How who holds ``head`` stands towards a version; ``epochs``: the records held with it.

    Of an older epoch only what is known to be shared counts as held: above that, a revision may
    stand for two contents, of which one is lost. Documents (``database = off``) leave no records:
    of an older one nothing is left, unless the same one was given again.
    """
    if version[:2] == head[:2]:
        return "reached" if head.revision >= version.revision else "behind"
    if version > head:
        return "behind"
    if version.revision == 0 or version.tag == head.tag:
        return "reached"  # nothing was written there; or it is the same document
    if all(epoch.kept.version[:2] != version[:2] for epoch in epochs):
        return "forked"
    shared = min(epoch.fork_revision for epoch in epochs if epoch.epoch > version.epoch)
    return "reached" if version.revision <= shared else "forked"


def _hex(tag: int) -> str:
    """64 bits without a sign: more than JSON's numbers hold for everybody."""
    return f"{tag:016x}"


def _head_shown(head: Head) -> dict[str, Any]:
    (epoch, tag, revision), digest = head
    return {"epoch": epoch, "tag": _hex(tag), "revision": revision, "digest": digest.hex()}


def _head_read(shown: dict[str, Any]) -> Head:
    version = Version(int(shown["epoch"]), int(shown["tag"], 16), int(shown["revision"]))
    return Head(version, bytes.fromhex(shown["digest"]))
