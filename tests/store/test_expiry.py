"""The sweep: what it finds to delete, and that it comes to an end."""

from typing import Any

from store.authority import Create, Query
from store.expiry import Sweep, expiring_kinds
from store.replica import Replica
from tests.store.conftest import Engine

NOW = 1_700_000_000.0


def test_kinds_with_a_time_to_live_are_swept() -> None:
    assert expiring_kinds() == [
        "keyauth_credentials",
        "oauth2_authorization_codes",
        "oauth2_tokens",
        "sessions",
        "acme_storage",
    ]


async def test_a_sweep_deletes_what_has_expired_and_nothing_else(engine: Engine) -> None:
    now = [NOW]
    authority = engine.authority(clock=lambda: now[0])
    engine.opened.append(authority)
    info = await authority.open()
    fields: list[dict[str, Any]] = [{}, {"ttl": 10}, {"ttl": 20}]
    await authority.write(
        [
            Create("sessions", {"session_id": str(number), **ttl})
            for number, ttl in enumerate(fields * 700)
        ],
        origin="",
    )
    replica = Replica(info.id)
    replica.load(await authority.state())
    now[0] += 15
    sweep, steps = Sweep(), 0
    while sweep.query is not None:
        deletions = sweep.take(replica.list(sweep.query), now[0])
        if deletions:
            await authority.write(deletions, origin="sweep")
        steps += 1
    assert steps == len(expiring_kinds()) + 2
    left = 0
    query: Query | None = Query("sessions", size=1000)
    while query is not None:
        page = await authority.list(query)
        left += len(page.entities)
        assert all(entity["expires_at"] != NOW + 10 for entity in page.entities)
        after = page.next_id
        query = Query("sessions", size=1000, after_id=after) if after else None
    assert left == 1400
