"""Upstreams and targets as the balancer uses them, read from the stored JSON text."""

from typing import NamedTuple

from node.proxy.entities import EntityRefused, load, or_default


class HashOn(NamedTuple):
    """What of a request is hashed."""

    kind: str
    """``none``, ``consumer``, ``ip``, ``header``, ``cookie``, ``path``, ``query_arg`` or
    ``uri_capture``."""
    name: str
    """Of the header, cookie, argument or capture; empty for the other kinds."""


class Upstream(NamedTuple):
    """What balances over targets, and how."""

    id: str
    name: str
    algorithm: str
    hash_on: HashOn
    hash_fallback: HashOn
    cookie_path: str
    slots: int
    host_header: str
    """Empty: the targets' own names."""
    use_srv_name: bool
    client_certificate_id: str
    """Empty: none."""


class Target(NamedTuple):
    """One member of an upstream."""

    id: str
    upstream_id: str
    host: str
    """A name or an address, without brackets."""
    port: int
    weight: int


def read_upstream(text: str) -> Upstream:
    """Raises EntityRefused."""
    fields = load(text)
    name = fields.get("name")
    if not isinstance(name, str) or not name:
        raise EntityRefused(f"upstream {fields['id']}: name is {name!r}")
    return Upstream(
        id=fields["id"],
        name=name,
        algorithm=fields.get("algorithm") or "round-robin",
        hash_on=_hash_on(fields, "hash_on"),
        hash_fallback=_hash_on(fields, "hash_fallback"),
        cookie_path=fields.get("hash_on_cookie_path") or "/",
        slots=int(or_default(fields.get("slots"), 10_000)),
        host_header=fields.get("host_header") or "",
        use_srv_name=fields.get("use_srv_name") is True,
        client_certificate_id=str((fields.get("client_certificate") or {}).get("id") or ""),
    )


def _hash_on(fields: dict[str, object], prefix: str) -> HashOn:
    kind = str(fields.get(prefix) or "none")
    # Kong has one cookie for both.
    own = "hash_on_cookie" if kind == "cookie" else f"{prefix}_{kind}"
    return HashOn(kind, str(fields.get(own) or ""))


def read_target(text: str) -> Target:
    """Raises EntityRefused."""
    fields = load(text)
    host, colon, port = str(fields.get("target") or "").rpartition(":")
    if not host or not colon or not port.isdigit():
        raise EntityRefused(f"target {fields['id']}: target is {fields.get('target')!r}")
    return Target(
        id=fields["id"],
        upstream_id=str((fields.get("upstream") or {}).get("id") or ""),
        host=host.strip("[]"),
        port=int(port),
        weight=int(or_default(fields.get("weight"), 100)),
    )
