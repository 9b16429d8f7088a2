"""Certificates as the data plane uses them, and which one a client is shown.

The choice is Kong's (kong/runloop/certificate.lua): the server name itself, then with its first
label replaced by an asterisk, then with its last one, then ``*``; then the listener's own.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from node.proxy.entities import EntityRefused, load
from node.proxy.holding import Holding, Refused
from node.proxy.vaults import Vaults
from node.references import SCHEME
from store.schema import schema

ANY_NAME = "*"

_CERTIFICATE_FIELDS = schema("certificates").fields

Resolved = Callable[[dict[str, Any]], Mapping[str, Any]]
"""An entity's fields with secrets in the place of references."""


class Certificate(NamedTuple):
    """A certificate with its key, each as PEM text."""

    id: str
    cert: str
    key: str
    cert_alt: str
    """A second one, of another algorithm; empty when there is none."""
    key_alt: str


class Sni(NamedTuple):
    """A server name, or a pattern of names, and the certificate that is shown for it."""

    id: str
    name: str
    """Lower-cased."""
    certificate_id: str


class Authority(NamedTuple):
    """A certificate of an authority, by which upstreams are verified."""

    id: str
    cert: str


class Certificates(Holding[Certificate]):
    """By id alone. What is held has secrets in the place of references, by the vaults as they
    are."""

    def __init__(self, refused: Refused, vaults: Vaults) -> None:
        super().__init__("certificates", self._read_resolved, refused)
        self._vaults = vaults
        self._referring: dict[str, str] = {}
        """Id -> text of those that have references."""

    def apply(self, entity_id: str, text: str | None) -> None:
        if text is not None and SCHEME in text:
            self._referring[entity_id] = text
        else:
            self._referring.pop(entity_id, None)
        super().apply(entity_id, text)

    def take_after(self, other: Holding[Certificate]) -> Iterator[None]:
        assert isinstance(other, Certificates)
        self._referring = other._referring.copy()
        yield from super().take_after(other)

    def referring(self) -> list[str]:
        """Ids of those that have references."""
        return list(self._referring)

    def resolve_again(self) -> None:
        """Vaults have changed."""
        for entity_id, text in self._referring.items():
            super().apply(entity_id, text)

    def _read_resolved(self, text: str) -> Certificate:
        return read_certificate(
            text, lambda fields: self._vaults.resolved(_CERTIFICATE_FIELDS, fields)
        )


class Authorities(Holding[Authority]):
    """By id alone."""

    def __init__(self, refused: Refused) -> None:
        super().__init__("ca_certificates", read_authority, refused)


class Snis(Holding[Sni]):
    """By name."""

    def __init__(self, refused: Refused) -> None:
        super().__init__("snis", read_sni, refused)
        self._by_name: dict[str, list[Sni]] = {}
        """The authority keeps names unique; a changeset that gives one to another may pass through
        a state in which two have it."""

    def place(self, entity_id: str, entity: Sni) -> None:
        self._by_name.setdefault(entity.name, []).append(entity)

    def displace(self, entity_id: str, entity: Sni) -> None:
        having = self._by_name[entity.name]
        having.remove(entity)
        if not having:
            del self._by_name[entity.name]

    def is_placed(self, entity_id: str, entity: Sni) -> bool:
        return entity in self._by_name.get(entity.name, ())

    def misplaced(self) -> str:
        if len(self._by_name) <= len(self.held):
            return ""
        return f"{len(self._by_name)} server names instead of {len(self.held)}"

    def fitting(self, name: str) -> Iterator[Sni]:
        """Those that are for a name, the best first."""
        for pattern in patterns(name):
            yield from reversed(self._by_name.get(pattern, ()))


def patterns(name: str) -> Iterator[str]:
    """The names under which a certificate for ``name`` is looked for, in turn."""
    name = name.lower().removesuffix(".")
    yield name
    if "*" not in name:
        first, dot, rest = name.partition(".")
        if first and "." in rest.strip("."):
            yield f"*{dot}{rest}"
        rest, dot, last = name.rpartition(".")
        if rest and last:
            yield f"{rest}{dot}*"
    if name != ANY_NAME:
        yield ANY_NAME


def read_certificate(text: str, resolved: Resolved = dict) -> Certificate:
    """Raises EntityRefused. Whether OpenSSL can use it shows when it is first needed."""
    fields = resolved(load(text))
    alternative = bool(fields.get("cert_alt")) and bool(fields.get("key_alt"))
    return Certificate(
        fields["id"],
        _pem(fields, "cert"),
        _pem(fields, "key"),
        _pem(fields, "cert_alt") if alternative else "",
        _pem(fields, "key_alt") if alternative else "",
    )


def read_sni(text: str) -> Sni:
    """Raises EntityRefused."""
    fields = load(text)
    name = fields.get("name")
    if not isinstance(name, str) or not name:
        raise EntityRefused(f"name is {name!r}")
    return Sni(fields["id"], name.lower().removesuffix("."), str(fields["certificate"]["id"]))


def read_authority(text: str) -> Authority:
    """Raises EntityRefused."""
    fields = load(text)
    return Authority(fields["id"], _pem(fields, "cert"))


def _pem(fields: Mapping[str, Any], name: str) -> str:
    value = fields.get(name)
    if not isinstance(value, str) or "-----BEGIN " not in value:
        raise EntityRefused(f"{name} is no PEM text")  # never with the value: it may be a key
    return value
