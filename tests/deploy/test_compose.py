"""deploy/docker-compose.yml as an engine would run it, each service a machine of its own."""

import os
import random
import signal
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.deploy import compose
from tests.deploy.capture import Capture, Packet
from tests.deploy.images import image_spec
from tests.deploy.network import ROOT, Machine, Network
from tests.rings import first_few
from tests.system.waiting import until

COMPOSE_FILE = ROOT / "deploy" / "docker-compose.yml"
PREFIX = "10.83.0"
CLUSTER_PORT = 8005
POSTGRES_PORT = 5432
FORMED_SECONDS = 45.0
STOP_SECONDS = 10.0
NAME_ON_THE_WIRE = "a-name-that-nobody-else-may-read"

Machines = Mapping[str, Machine]


@contextmanager
def engine(folder: Path, seed: int) -> Iterator[tuple[Machines, Capture]]:
    """Every service started at once, in random order, at random addresses."""
    services = list(compose.read(COMPOSE_FILE).values())
    rng = random.Random(seed)
    rng.shuffle(services)
    addresses = rng.sample(range(2, 250), len(services))
    with Network(folder, PREFIX) as network:
        for service, last_byte in zip(services, addresses, strict=True):
            network.add(service.name, last_byte)
        machines = network.machines
        hosts = {machine.address: machine.name for machine in machines.values()}
        capture = Capture(network)
        try:
            for service in services:
                machines[service.name].start(image_spec(service, hosts), service.environment)
            yield machines, capture
        except BaseException:
            for machine in machines.values():
                print(
                    f"--- {machine.name} ({machine.address})\n{without_questions(machine.output())}"
                )
            raise
        finally:
            capture.close()


def without_questions(output: str) -> str:
    """A node's output but for the lines about what the test has asked it again and again."""
    return "\n".join(line for line in output.splitlines() if '"GET /cluster ' not in line)


def published(machines: Machines, port: int) -> tuple[Machine, int]:
    """Where a port of the host leads."""
    for service in compose.read(COMPOSE_FILE).values():
        if port in service.ports:
            return machines[service.name], service.ports[port]
    raise AssertionError(f"{COMPOSE_FILE.name} publishes no port {port}")


def member_states(machines: Machines, admin_port: int) -> list[str]:
    """The states of the members that the node behind a published port sees."""
    machine, port = published(machines, admin_port)
    answer = machine.get(port, "/cluster")
    return [member["status"] for member in answer.json()["data"]] if answer.status == 200 else []


async def until_formed(machines: Machines) -> None:
    """Wait until each node sees two alive."""

    async def formed() -> bool:
        return all(member_states(machines, port) == ["alive", "alive"] for port in (8001, 8003))

    await until(formed, "both nodes see two members alive", seconds=FORMED_SECONDS)


@pytest.mark.parametrize("seed", first_few(range(5)))
async def test_two_nodes_end_in_one_encrypted_cluster_in_whatever_order_all_starts(
    tmp_path: Path, seed: int
) -> None:
    with engine(tmp_path, seed) as (machines, capture):
        await until_formed(machines)
        await until_migrations_are_done(machines)
        for service in compose.read(COMPOSE_FILE).values():
            if service.health_command:
                assert machines[service.name].execute(*service.health_command) == 0
        first, first_admin = published(machines, 8001)
        second, second_proxy = published(machines, 8002)
        own_admin_api = {"name": NAME_ON_THE_WIRE, "url": f"http://127.0.0.1:{first_admin}"}
        assert first.request("POST", first_admin, "/services", own_admin_api).status == 201
        route = {"paths": ["/through"]}
        made = first.request("POST", first_admin, f"/services/{NAME_ON_THE_WIRE}/routes", route)
        assert made.status == 201

        async def served() -> bool:
            return second.get(second_proxy, "/through").status == 200

        await until(served, "the other node proxies the route to its own Admin API")
        await until_printed(second, '"GET /through HTTP/1.1" 200')
        assert '"POST /services HTTP/1.1" 201' in first.output()
        packets = capture.read()
    assert_encrypted(
        [one for one in packets if CLUSTER_PORT in (one.source[1], one.destination[1])]
    )
    database = [one for one in packets if one.destination[1] == POSTGRES_PORT]
    assert readable(database, NAME_ON_THE_WIRE), "the capture sees what isn't encrypted"


async def until_printed(machine: Machine, text: str) -> None:
    """Wait until a line is on standard output, as `docker logs` shows it."""

    async def printed() -> bool:
        return text in machine.output()

    await until(printed, f"{machine.name} prints {text}")


async def until_migrations_are_done(machines: Machines) -> None:
    """The container of the migrations ends by itself, and well."""
    process = machines["kong-migrations"].process
    assert process is not None

    async def ended() -> bool:
        return process.poll() is not None

    await until(ended, "the migrations end")
    assert process.returncode == 0


def assert_encrypted(gossip: list[Packet]) -> None:
    """Nodes talk both ways, and none of the words they say is in clear."""
    assert len({one.source[0] for one in gossip}) == 2, "both nodes talk to the other"
    for word in (NAME_ON_THE_WIRE, "kong-node", "traditional", "grapevine"):
        assert not readable(gossip, word), f"{word!r} passes in clear"


def readable(packets: list[Packet], word: str) -> bool:
    return any(word.encode() in packet.payload for packet in packets)


async def test_a_node_leaves_and_ends_well_when_its_container_is_stopped(tmp_path: Path) -> None:
    """TERM to PID 1 of the container, as an engine sends it."""
    with engine(tmp_path, seed=5) as (machines, _):
        await until_formed(machines)
        leaver, _ = published(machines, 8003)
        stayer, admin = published(machines, 8001)
        os.kill(leaver.first_process(), signal.SIGTERM)

        async def has_left() -> bool:
            members = stayer.get(admin, "/cluster").json()["data"]
            states = {member["address"].rpartition(":")[0]: member["status"] for member in members}
            return bool(states.get(leaver.address, "left") == "left")

        await until(has_left, "the other node sees that it left")
        assert leaver.process is not None
        assert leaver.process.wait(STOP_SECONDS) == 0


async def test_keys_that_nobody_configured_are_rotated_on_either_node(tmp_path: Path) -> None:
    with engine(tmp_path, seed=6) as (machines, _):
        await until_formed(machines)
        nodes = [published(machines, port) for port in (8001, 8003)]
        (first, first_admin), (second, second_admin) = nodes
        old = first.get(first_admin, "/cluster/keys").json()["data"][0]["id"]
        installed = first.request("POST", first_admin, "/cluster/keys", {})
        assert installed.status == 201
        new = installed.json()["id"]
        await until_all_have(machines, 1)
        path = f"/cluster/keys/{new}"
        assert second.request("PATCH", second_admin, path, {"primary": True}).status == 200
        await until_all_have(machines, 2)
        assert first.request("DELETE", first_admin, f"/cluster/keys/{old}", {}).status == 204
        await until_all_have(machines, 3)
        for machine, admin in nodes:
            listed = machine.get(admin, "/cluster/keys").json()["data"]
            assert listed == [{"id": new, "primary": True}]
        for port in (8001, 8003):
            assert member_states(machines, port) == ["alive", "alive"]


async def until_all_have(machines: Machines, change: int) -> None:
    """Wait until each node has heard that both have a change of the keys."""

    async def have_it() -> bool:
        answers = []
        for port in (8001, 8003):
            machine, admin = published(machines, port)
            answers.append(machine.get(admin, "/cluster/keys").json())
        return all(
            answer["counter"] == change and answer["members"]["current"] == 2 for answer in answers
        )

    await until(have_it, f"both nodes have change {change}")


def test_the_file_has_the_guides_services_and_ports() -> None:
    services = compose.read(COMPOSE_FILE)
    nodes = [service for service in services.values() if service.ports]
    assert [service.ports for service in nodes] == [
        {8000: 8000, 8001: 8001},
        {8002: 8000, 8003: 8001},
    ]
    assert all(key.startswith("KONG_") for node in nodes for key in node.environment)
    assert not any("CLUSTER" in key for node in nodes for key in node.environment)
    [migrations] = [one for one in services.values() if "migrations" in one.command]
    assert migrations.command == ["kong", "migrations", "bootstrap"]
