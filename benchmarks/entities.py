"""The entities that benchmarks fill replicas with, as the authority stores them."""

import json
import random
from collections.abc import Iterator

from store.canonical import encode_entity
from store.changeset import Body, Change, Changeset, chain, encode_body
from store.replica import Replica
from store.schema import schema
from store.version import Head

HOSTS = 1_000
"""So many hosts the routes are spread over."""
WRITTEN_AT = 1_700_000_000


def entity(kind: str, rng: random.Random, **fields: object) -> Change:
    """One that was created with these fields."""
    fields["id"] = uuid_of(rng)
    whole = schema(kind).validate_new(fields, WRITTEN_AT)
    return Change(kind, whole["id"], encode_entity(whole))


def uuid_of(rng: random.Random) -> str:
    """A UUID, the same at every run."""
    digits = f"{rng.getrandbits(128):032x}"
    return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-8{digits[17:20]}-{digits[20:]}"


def service(number: int, rng: random.Random) -> Change:
    return entity("services", rng, name=f"service-{number}", host=f"s{number}.internal")


def route(number: int, service_id: str, rng: random.Random) -> Change:
    """A route of a service, under one of the hosts."""
    host = f"h{rng.randrange(HOSTS)}.example.com"
    fields = {"hosts": [host], "paths": [f"/api/v1/{number}"], "service": {"id": service_id}}
    return entity("routes", rng, name=f"route-{number}", **fields)


def pairs(size: int, rng: random.Random) -> Iterator[Change]:
    """A service and a route, and so on. Half of the routes are of the first service, the others of
    their own."""
    first = ""
    for number in range(size // 2):
        made = service(number, rng)
        first = first or made.id
        yield made
        yield route(number, first if number % 2 else made.id, rng)


def configuration(size: int, rng: random.Random) -> list[Change]:
    """The same, by kind and id."""
    return sorted(pairs(size, rng))


def hub(changes: list[Change]) -> Change:
    """The service that half of the routes are of."""
    return next(change for change in changes if '"name":"service-0"' in (change.entity or ""))


def credentials(count: int, rng: random.Random) -> Iterator[Change]:
    """Keys of key-auth, each with a consumer of its own, in the order of their ids. Written out:
    the kind need not be known."""
    for number in range(count):
        key = f"{number:08x}-0000-4000-8000-{rng.getrandbits(48):012x}"
        fields = {
            "consumer": {"id": uuid_of(rng)},
            "created_at": WRITTEN_AT,
            "id": key,
            "key": f"{rng.getrandbits(128):032x}",
            "tags": None,
            "ttl": None,
        }
        yield Change("keyauth_credentials", key, encode_entity(fields))


def changed(change: Change, **fields: object) -> Change:
    """The same entity with other values."""
    return change._replace(entity=encode_entity(json.loads(change.entity or "{}") | fields))


def following(replica: Replica, *changes: Change) -> Changeset:
    """The changeset that makes these changes next."""
    head = Head(*replica.head())
    body = encode_body(Body(bytes(16), float(WRITTEN_AT), "node", changes))
    version = head.version._replace(revision=head.version.revision + 1)
    return Changeset(version, head.digest, chain(head.digest, body), body)
