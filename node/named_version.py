"""Versions as clients write them: ``epoch.revision``, and the tag where it matters (DESIGN 3)."""

from typing import NamedTuple

from node.channel import Version
from store.version import parse_version

WHOLE_TAG_DIGITS = 16
TAG_DIGITS = (8, WHOLE_TAG_DIGITS)
"""Of the tag so many hexadecimal digits, from the first on, may be given."""


class NamedVersion(NamedTuple):
    """A version that somebody asks for."""

    epoch: int
    revision: int
    tag: str
    """First hexadecimal digits of the epoch's tag; empty when the client didn't say."""

    @classmethod
    def of(cls, version: Version) -> "NamedVersion":
        """The name of just this one."""
        epoch, tag, revision = version
        return cls(epoch, revision, f"{tag:016x}")

    def is_of(self, tag: int) -> bool:
        """Whether it may mean the history with this tag."""
        return f"{tag:016x}".startswith(self.tag)

    def reached_by(self, version: Version) -> bool:
        """Whether that version is this one or a later one; a later epoch is."""
        epoch, tag, revision = version
        if epoch != self.epoch:
            return epoch > self.epoch
        return self.is_of(tag) and revision >= self.revision

    def __str__(self) -> str:
        return f"{self.epoch}.{self.revision}" + (f"-{self.tag}" if self.tag else "")


def parse_named(text: str) -> NamedVersion:
    """Read ``epoch.revision``, ``epoch.revision-tag8`` or one with the whole tag.

    Raises ValueError with a sentence for the client.
    """
    numbers, dash, tag = text.strip().partition("-")
    epoch, revision = parse_version(numbers)
    tag = tag.lower()
    if dash and (len(tag) not in TAG_DIGITS or not set(tag) <= set("0123456789abcdef")):
        raise ValueError(f"'{tag}' is not a version's tag; tags are 8 or 16 hex digits")
    return NamedVersion(epoch, revision, tag)
