"""Where the cluster's keys come from, where they are kept, and who can read them there."""

from pathlib import Path

import pytest

from gossip.identity import Identity
from gossip.keyring import Keyring, KeyringRefused, configured, install, remove, use
from node.admin.node_view import Conflict, NotAvailable
from node.agent.keepsakes import load_keys
from node.agent.keys import KeyHolder
from node.agent.limits import KEYRING_ATTEMPTS_MAX, KEYRING_STORERS
from node.agent.wrapping import open_with
from store.authority import KeyringRow
from store.errors import AuthorityUnavailable
from tests.agent.key_nodes import K1, K2, K3, OWN, Database, Node, node_id

OTHER = Identity(node_id(7), 3, 77)


@pytest.fixture
def database() -> Database:
    return Database()


@pytest.fixture
def prefix(tmp_path: Path) -> Path:
    return tmp_path / "node"


def ids_of(keyring: Keyring | None) -> tuple[int, tuple[bytes, ...]]:
    assert keyring is not None
    return keyring.counter, keyring.keys


def opens(row: KeyringRow | None, *keys: bytes) -> bool:
    """Whether who has these keys can read what the authority keeps."""
    assert row is not None
    try:
        open_with(row.wrapped, keys)
    except KeyringRefused:
        return False
    return True


async def rotated(prefix: Path, named: Keyring | None, database: Database | None) -> Node:
    """A node that has led its cluster from its first key to K2, and removed that first key."""
    node = await Node(prefix, named, database).start()
    await node.keys.change(lambda ring: install(ring, K2, OTHER))
    await node.keys.change(lambda ring: use(ring, K2, OTHER))
    await node.keys.change(lambda ring: remove(ring, ring.keys[1], OTHER))
    return await node.settled()


async def test_what_the_configuration_names_goes_before_what_bootstrap_drew(
    prefix: Path, database: Database
) -> None:
    assert (await Node(prefix, configured(K1, K2), database).start()).in_use == configured(K1, K2)
    assert (await Node(prefix, None, database).start()).in_use == configured(OWN)


async def test_without_any_source_there_is_no_key(prefix: Path, database: Database) -> None:
    database.down = "away"
    assert Node(prefix, None, database).keys.current() is None


async def test_what_bootstrap_drew_is_kept_for_a_start_without_the_authority(
    prefix: Path, database: Database
) -> None:
    await (await Node(prefix, None, database).start()).settled()
    database.down = "away"
    assert (await Node(prefix, None, database).start()).in_use == configured(OWN)


@pytest.mark.parametrize("named", [configured(K1), None])
async def test_a_node_that_missed_a_rotation_gets_it_before_its_first_packet(
    tmp_path: Path, database: Database, named: Keyring | None
) -> None:
    absent = await (await Node(tmp_path / "absent", named, database, 2).start()).settled()
    assert absent.in_use is not None
    await rotated(tmp_path / "node", named, database)
    for prefix in (tmp_path / "absent", tmp_path / "fresh"):
        assert ids_of((await Node(prefix, named, database, 2).start()).in_use) == (3, (K2,))


@pytest.mark.parametrize("named", [configured(K1), None])
async def test_the_prefix_is_enough_when_the_authority_is_away(
    prefix: Path, database: Database, named: Keyring | None
) -> None:
    await rotated(prefix, named, database)
    database.down = "away"
    assert ids_of((await Node(prefix, named, database).start()).in_use) == (3, (K2,))


async def test_with_a_configured_key_neither_the_database_nor_the_prefix_gives_a_key(
    prefix: Path, database: Database
) -> None:
    await rotated(prefix, configured(K1), database)
    kept = load_keys(prefix)
    assert kept.wrapped is not None
    assert not opens(database.row, OWN)
    assert not opens(KeyringRow(1, "", 0, kept.wrapped), OWN)
    assert opens(database.row, K1)
    for content in (repr(database.row), (prefix / "keyring").read_text()):
        assert repr(K2)[2:-1] not in content


async def test_without_one_the_database_holds_all_that_is_needed(
    prefix: Path, database: Database
) -> None:
    await rotated(prefix, None, database)
    assert opens(database.row, OWN)


async def test_configured_keys_are_replaced_node_by_node_before_the_old_one_goes(
    tmp_path: Path, database: Database
) -> None:
    """The order that docs/operations.md gives: install, use, configure, remove."""
    first = await Node(tmp_path / "1", configured(K1), database).start()
    await first.keys.change(lambda ring: install(ring, K2, OTHER))
    await first.keys.change(lambda ring: use(ring, K2, OTHER))
    await first.settled()
    second = await (await Node(tmp_path / "1", configured(K2), database).start()).settled()
    for key in (K1, K2):  # restarted, or brand-new, configured as before or anew
        assert ids_of((await Node(tmp_path / "new", configured(key), database).start()).in_use) == (
            2,
            (K2, K1),
        )
    await second.keys.change(lambda ring: remove(ring, K1, OTHER))
    assert not opens(database.row, K1), "the old key opens nothing any more"
    assert not opens(database.row, OWN)
    assert ids_of((await Node(tmp_path / "2", configured(K2), database).start()).in_use) == (
        3,
        (K2,),
    )


async def test_configured_keys_may_be_replaced_after_the_old_one_went_too(
    tmp_path: Path, database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    await rotated(tmp_path / "1", configured(K1), database)
    kept = await (await Node(tmp_path / "2", configured(K1), database, 2).start()).settled()
    await (await Node(tmp_path / "1", configured(K2), database).start()).settled()
    assert not opens(database.row, K1), "wrapped anew by the first node configured with the new key"
    again = await Node(tmp_path / "2", configured(K1), database, 2).start()
    assert again.in_use == kept.in_use, "a node with its files has the keys from there"
    assert not caplog.records or "can't be opened" not in caplog.text
    brand_new = await Node(tmp_path / "3", configured(K1), database, 3).start()
    assert brand_new.in_use == configured(K1)
    assert "the authority's keyring can't be opened" in caplog.text


async def test_nodes_that_are_configured_differently_do_not_correct_each_other_for_ever(
    tmp_path: Path, database: Database
) -> None:
    await rotated(tmp_path / "1", configured(K1), database)
    nodes = [
        await Node(tmp_path / name, configured(key), database).start()
        for name, key in (("1", K1), ("2", K2))
    ]
    rows = []
    for _ in range(4):
        for node in nodes:
            node.keys.authority_opened(database.info)
            await node.settled()
            rows.append(database.row)
    assert len(set(rows)) > 1
    assert len(set(rows[4:])) == 1, "each has wrapped it anew once"


async def test_of_two_changes_at_once_the_second_is_made_upon_the_first(
    tmp_path: Path, database: Database
) -> None:
    first, second = [
        await Node(tmp_path / str(number), configured(K1), database, number).start()
        for number in (1, 2)
    ]
    await first.keys.change(lambda ring: install(ring, K2, OTHER))
    await second.keys.change(lambda ring: install(ring, K3, OTHER))
    assert ids_of(second.in_use) == (2, (K1, K2, K3))
    database.others_first = 1
    await first.keys.change(lambda ring: use(ring, K3, OTHER))
    assert ids_of(first.in_use) == (3, (K3, K1, K2))


async def test_a_change_that_always_comes_second_is_given_up(
    prefix: Path, database: Database
) -> None:
    node = await Node(prefix, configured(K1), database).start()
    database.others_first = KEYRING_ATTEMPTS_MAX
    with pytest.raises(NotAvailable, match="try again"):
        await node.keys.change(lambda ring: install(ring, K2, OTHER))
    assert node.in_use == configured(K1)


async def test_while_the_authority_is_away_nothing_is_changed(
    prefix: Path, database: Database
) -> None:
    node = await Node(prefix, configured(K1), database).start()
    database.down = "db1 is away"
    with pytest.raises(AuthorityUnavailable, match="db1 is away"):
        await node.keys.change(lambda ring: install(ring, K2, OTHER))
    assert node.in_use == configured(K1)
    assert load_keys(prefix).wrapped is None


async def test_without_a_database_the_prefix_keeps_the_keys(prefix: Path) -> None:
    await rotated(prefix, configured(K1), None)
    assert ids_of((await Node(prefix, configured(K1), None).start()).in_use) == (3, (K2,))


async def test_without_a_database_a_change_that_can_not_be_written_is_none(prefix: Path) -> None:
    node = await (await Node(prefix, configured(K1), None).start()).settled()
    (prefix / "keyring.new").mkdir()  # the disk takes nothing
    with pytest.raises(NotAvailable, match="the keyring can't be written"):
        await node.keys.change(lambda ring: install(ring, K2, OTHER))
    assert node.in_use == node.keys.current() == configured(K1)


async def test_a_disk_that_is_full_does_not_stop_a_change_that_the_authority_holds(
    prefix: Path, database: Database
) -> None:
    node = await (await Node(prefix, configured(K1), database).start()).settled()
    (prefix / "keyring.new").mkdir()
    await node.keys.change(lambda ring: install(ring, K2, OTHER))
    assert ids_of(node.in_use) == (1, (K1, K2))


async def test_what_came_from_a_peer_is_kept_and_reaches_the_authority(
    prefix: Path, database: Database
) -> None:
    node = await Node(prefix, configured(K1), database).start()
    heard = install(configured(K1), K2, OTHER)
    node.keys.adopted(heard)
    await node.settled()
    assert database.row is not None
    assert (database.row.counter, database.row.author, database.row.tag) == heard[:3]
    assert (await Node(prefix, configured(K1), None).start()).in_use == heard


async def test_few_nodes_look_whether_the_authority_has_what_came_from_a_peer(
    prefix: Path, database: Database
) -> None:
    node = await Node(prefix, configured(K1), database, KEYRING_STORERS + 1).start()
    node.others = [
        KeyHolder(node_id(number), f"n{number}", "alive", 0, False)
        for number in range(1, KEYRING_STORERS + 1)
    ]
    node.keys.adopted(install(configured(K1), K2, OTHER))
    await node.settled()
    assert database.reads == 0
    node.others[0] = node.others[0]._replace(status="failed")
    node.keys.adopted(install(install(configured(K1), K2, OTHER), K3, OTHER))
    await node.settled()
    assert database.row is not None
    assert database.row.counter == 2


async def test_an_authority_that_comes_back_with_an_older_keyring_gets_the_newer(
    prefix: Path, database: Database
) -> None:
    """Restored from a backup, or away while the others changed the keys."""
    node = await Node(prefix, configured(K1), database).start()
    await node.keys.change(lambda ring: install(ring, K2, OTHER))
    before = database.row
    await node.keys.change(lambda ring: use(ring, K2, OTHER))
    for restored in (before, None):
        database.row = restored
        node.keys.authority_opened(database.info)
        await node.settled()
        assert database.row is not None
        assert database.row.counter == 2


async def test_an_authority_that_comes_back_with_a_newer_keyring_is_followed(
    tmp_path: Path, database: Database
) -> None:
    database.down = "away"
    node = await Node(tmp_path / "1", configured(K1), database).start()
    database.down = ""
    await rotated(tmp_path / "2", configured(K1), database)
    node.keys.look()
    await node.settled()
    assert ids_of(node.in_use) == (3, (K2,))


async def test_a_key_that_peers_use_and_the_authority_does_not_know_changes_nothing(
    prefix: Path, database: Database
) -> None:
    node = await Node(prefix, configured(K1), database).start()
    node.keys.look()
    database.down = "away"
    node.keys.look()
    await node.settled()
    assert node.in_use == configured(K1)


async def test_peers_with_other_keys_are_told_of_once_a_minute_and_looked_for_each_time(
    prefix: Path, database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    node = await Node(prefix, configured(K1), database).start()
    for _ in range(3):
        node.keys.unknown("beef")
        await node.settled()
    assert database.reads == 3
    assert [record.message for record in caplog.records] == [
        "peers use keys that this node lacks, or lack its own; it asks the authority"
    ]


async def test_a_prefix_of_another_authority_is_left_out(prefix: Path, database: Database) -> None:
    await rotated(prefix, None, database)
    other = Database()
    other.id = "11111111-1d7c-4a7e-9f3b-2c2f6a1f0b57"
    node = await (await Node(prefix, None, other).start()).settled()
    assert node.in_use == configured(OWN)
    assert other.row is None
    assert load_keys(prefix).wrapped is None


async def test_what_can_not_be_opened_is_replaced_by_force_alone(
    tmp_path: Path, database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    await rotated(tmp_path / "1", configured(K1), database)
    stranger = await Node(tmp_path / "2", configured(K3), database).start()
    assert stranger.in_use == configured(K3)
    assert [record.message for record in caplog.records if record.levelname == "ERROR"] == [
        "the authority's keyring can't be opened; set cluster_encrypt_key to a key of the cluster"
    ]
    with pytest.raises(Conflict, match=r"\(change 3\) is wrapped under other keys"):
        await stranger.keys.change(lambda ring: install(ring, K1, OTHER))
    await stranger.keys.change(lambda ring: install(ring, K1, OTHER), replace_unopened=True)
    assert ids_of(stranger.in_use) == (4, (K3, K1))
    assert opens(database.row, K3)


@pytest.mark.parametrize("named", [configured(K1), None])
async def test_a_key_that_opens_nothing_begins_anew_when_all_nodes_are_started_with_it(
    tmp_path: Path, database: Database, named: Keyring | None
) -> None:
    """What docs/operations.md gives for a key that has become known."""
    await rotated(tmp_path / "1", named, database)
    nodes = [
        await (await Node(tmp_path / name, configured(K3), database).start()).settled()
        for name in ("1", "2")
    ]
    assert [node.in_use for node in nodes] == [configured(K3)] * 2
    await nodes[0].keys.change(lambda ring: install(ring, K1, OTHER), replace_unopened=True)
    nodes[1].keys.look()
    await nodes[1].settled()
    assert nodes[1].in_use == nodes[0].in_use
    assert ids_of(nodes[0].in_use) == (4, (K3, K1))


async def test_a_cluster_gets_a_configured_key_node_by_node(
    tmp_path: Path, database: Database
) -> None:
    first = await Node(tmp_path / "1", None, database).start()
    await first.keys.change(lambda ring: install(ring, K2, OTHER))
    await first.keys.change(lambda ring: use(ring, K2, OTHER))
    await first.settled()
    second = await (await Node(tmp_path / "2", configured(K2), database).start()).settled()
    assert second.in_use == first.in_use
    assert (await Node(tmp_path / "3", None, database).start()).in_use == first.in_use
    await second.keys.change(lambda ring: remove(ring, OWN, OTHER))
    assert not opens(database.row, OWN), "from now on the database gives nothing away"


async def test_a_slip_in_the_configuration_does_not_cost_what_is_kept(prefix: Path) -> None:
    await rotated(prefix, configured(K1), None)
    slipped = await (await Node(prefix, configured(K3), None).start()).settled()
    assert slipped.in_use == configured(K3)
    assert ids_of((await Node(prefix, configured(K1), None).start()).in_use) == (3, (K2,))


async def test_a_database_whose_migration_is_pending_is_told_and_left_alone(
    prefix: Path, database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    database.schema_version = 1
    node = await Node(prefix, None, database).start()
    assert node.in_use == configured(OWN)
    assert "run 'grapevine migrations up'" in caplog.text


async def test_a_cluster_in_clear_and_a_node_apart_change_nothing(
    prefix: Path, database: Database
) -> None:
    node = Node(prefix, None, database)
    with pytest.raises(NotAvailable, match="takes no part in gossip"):
        await node.keys.change(lambda ring: install(ring, K2, OTHER))
    node.clear = True
    await node.start()
    with pytest.raises(Conflict, match="talks in clear"):
        await node.keys.change(lambda ring: install(ring, K2, OTHER))
    assert database.reads == 0


async def test_no_log_line_shows_a_key(
    tmp_path: Path, database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    await rotated(tmp_path / "1", configured(K1), database)
    await Node(tmp_path / "2", configured(K3), database).start()
    shown = caplog.text + "".join(str(vars(record)) for record in caplog.records)
    assert "the cluster's keys" in shown
    for key in (K1, K2, K3, OWN):
        assert repr(key)[2:-1] not in shown
        assert key.hex() not in shown
