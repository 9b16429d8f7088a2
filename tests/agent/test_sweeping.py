"""What has expired is deleted by the node whose turn it is."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from node.agent import sweeping
from node.agent.sweeping import Sweeping
from store.authority import Create, Mutation, Query
from store.migrations.sqlite_runner import SqliteMigrations
from store.replica import Replica
from store.sqlite import SqliteAuthority

NOW = 1_700_000_000.0


async def test_a_sweep_deletes_the_expired_in_the_authority(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sweeping, "SWEEP_PAUSE_SECONDS", 0.0)
    await SqliteMigrations(tmp_path / "authority.db").bootstrap()
    now = [NOW]
    authority = SqliteAuthority(tmp_path / "authority.db", clock=lambda: now[0])
    info = await authority.open()
    await authority.write(
        [
            Create("consumers", {"username": "ann"}),
            Create("keyauth_credentials", {"consumer": {"username": "ann"}, "key": "a", "ttl": 5}),
            Create("keyauth_credentials", {"consumer": {"username": "ann"}, "key": "b", "ttl": 50}),
            Create("keyauth_credentials", {"consumer": {"username": "ann"}, "key": "c"}),
        ],
        origin="",
    )
    replica = Replica(info.id)
    replica.load(await authority.state())

    async def commit(mutations: Sequence[Mutation]) -> None:
        await authority.write(mutations, origin="")

    now[0] += 10
    try:
        assert await Sweeping(replica, lambda: True, commit, clock=lambda: now[0]).sweep() == 1
        left = await authority.list(Query("keyauth_credentials"))
    finally:
        await authority.close()
    assert sorted(entity["key"] for entity in left.entities) == ["b", "c"]
