"""What the clients of whole nodes write: services with their routes, consumers with their keys.

Ids are few, so that all is written again and again: keys are revoked, given to others and given
back. References hold in every changeset, as the write rule has it.
"""

import json
import random

from simulations.whole.truth import State
from store.changeset import Body, Change, encode_body

SERVICES, ROUTES, CONSUMERS, KEYS = "services", "routes", "consumers", "keyauth_credentials"
_COUNTS = {SERVICES: 6, ROUTES: 12, CONSUMERS: 4, KEYS: 8}
_PREFIXES = {kind: place for place, kind in enumerate(_COUNTS, 1)}
_WORDS = 6
"""So many keys go round among the credentials."""
_LARGE = (300, 300, 520)
"""Routes of a large changeset: more than a replica applies in one go (``store.limits``), or more
than a worker does, too (``node.proxy.limits``)."""
_FIRST_OF_MANY = 1_000

Changes = list[tuple[str, str, str | None]]


def entity_id(kind: str, number: int) -> str:
    return f"{_PREFIXES[kind]:08x}-0000-4000-8000-{number:012x}"


def word(number: int) -> str:
    """One of the keys that clients show."""
    return f"word-{number}"


WORDS = tuple(map(word, range(_WORDS)))


def draw(rng: random.Random, state: State) -> Changes:
    """One write over a state."""
    if (ROUTES, entity_id(ROUTES, _FIRST_OF_MANY)) in state and rng.random() < 0.3:
        return many_routes(rng, state)
    match rng.randrange(20):
        case 0:
            return many_routes(rng, state)
        case 1 | 2 | 3 | 4:
            return _service(rng)
        case 5 | 6 | 7 | 8 | 9:
            return _route(rng, state)
        case 10 | 11 | 12:
            return _gone(SERVICES, rng, state)
        case 13:
            return _gone(CONSUMERS, rng, state)
        case 14 | 15 | 16:
            return _revoked(rng, state)
        case _:
            return _key(rng, state)


def body_of(rng: random.Random, changes: Changes, size: int = 0) -> bytes:
    """The body of a changeset, with an origin so long that a small one may be large."""
    write_id = rng.randbytes(16)
    return encode_body(Body(write_id, 0.0, "x" * size, tuple(Change(*one) for one in changes)))


def _text(kind: str, number: int, **fields: object) -> tuple[str, str, str]:
    named = entity_id(kind, number)
    text = {"id": named, **fields}
    return kind, named, json.dumps(text, separators=(",", ":"), sort_keys=True)


def _service(rng: random.Random, number: int | None = None) -> Changes:
    number = rng.randrange(_COUNTS[SERVICES]) if number is None else number
    host = f"10.1.{rng.randrange(256)}.{number}"
    return [_text(SERVICES, number, name=f"s{number}", host=host, port=80, protocol="http")]


def _route(rng: random.Random, state: State, number: int | None = None) -> Changes:
    """With its service, if that isn't there."""
    number = rng.randrange(_COUNTS[ROUTES]) if number is None else number
    service = rng.randrange(_COUNTS[SERVICES])
    there = (SERVICES, entity_id(SERVICES, service)) in state
    path = f"/{rng.randrange(20)}"
    hung = {"id": entity_id(SERVICES, service)}
    route = _text(ROUTES, number, name=f"r{number}", paths=[path], service=hung)
    return [*([] if there else _service(rng, service)), route]


def many_routes(rng: random.Random, state: State) -> Changes:
    """All of them are there, or none is: what is half of this shows."""
    first = entity_id(ROUTES, _FIRST_OF_MANY)
    if (ROUTES, first) in state:
        return [(of, other, None) for of, other in sorted(state) if of == ROUTES and other >= first]
    numbers = range(_FIRST_OF_MANY, _FIRST_OF_MANY + rng.choice(_LARGE))
    service = rng.randrange(_COUNTS[SERVICES])
    there = (SERVICES, entity_id(SERVICES, service)) in state
    hung = {"id": entity_id(SERVICES, service)}
    routes = [_text(ROUTES, n, name=f"r{n}", paths=[f"/m/{n}"], service=hung) for n in numbers]
    return [*([] if there else _service(rng, service)), *routes]


def _gone(kind: str, rng: random.Random, state: State) -> Changes:
    """One is deleted, and what hangs on it with it."""
    number = rng.randrange(_COUNTS[kind])
    gone = entity_id(kind, number)
    hanging, field = (ROUTES, "service") if kind == SERVICES else (KEYS, "consumer")
    hung = [
        (hanging, other, None)
        for (of, other), text in sorted(state.items())
        if of == hanging and json.loads(text)[field]["id"] == gone
    ]
    return [(kind, gone, None), *hung] if (kind, gone) in state else _service(rng)


def _key(rng: random.Random, state: State) -> Changes:
    """A consumer gets a key; who had it loses it in the same changeset."""
    number, consumer = rng.randrange(_COUNTS[KEYS]), rng.randrange(_COUNTS[CONSUMERS])
    shown = rng.choice(WORDS)
    changes: Changes = [
        (KEYS, other, None)
        for (of, other), text in sorted(state.items())
        if of == KEYS and other != entity_id(KEYS, number) and json.loads(text)["key"] == shown
    ]
    if (CONSUMERS, entity_id(CONSUMERS, consumer)) not in state:
        changes.append(_text(CONSUMERS, consumer, username=f"c{consumer}"))
    owner = {"id": entity_id(CONSUMERS, consumer)}
    return [*changes, _text(KEYS, number, key=shown, consumer=owner)]


def _revoked(rng: random.Random, state: State) -> Changes:
    held = sorted(entity for kind, entity in state if kind == KEYS)
    return [(KEYS, rng.choice(held), None)] if held else _key(rng, state)
