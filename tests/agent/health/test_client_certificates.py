"""Probes that show a certificate: whose it is, and that targets which ask for one are reached."""

import asyncio
import json
import ssl
from collections.abc import Callable
from pathlib import Path

import pytest

from node.agent.health.client_certificates import ClientCertificates, NoCertificate, Pair
from node.agent.health.probe import Prober
from node.channel import Change
from node.proxy.health.counters import Result
from tests.agent.health.test_probe import probing, says, server
from tests.agent.health.test_targets import Cluster, pinned
from tests.agent.health.test_targets import running as running
from tests.proxy.certificates import Issuer
from tests.proxy.health.upstreams import UPSTREAM_ID, active, address, target, uuid_of

OWN = uuid_of(7)


def asking(folder: Path, issuer: Issuer) -> ssl.SSLContext:
    """TLS of a server that takes clients with a certificate of the issuer's only."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*issuer.issue("localhost").files(folder))
    context.load_verify_locations(cadata=issuer.pem)
    context.verify_mode = ssl.CERT_REQUIRED
    return context


PEMS = [f"-----BEGIN {letter}-----" for letter in "ABCD"]


def certificate(cert: str, key: str) -> Change:
    return ("certificates", OWN, json.dumps({"id": OWN, "cert": cert, "key": key}))


async def test_a_target_that_asks_for_a_certificate_is_shown_one(tmp_path: Path) -> None:
    issuer = Issuer()
    client = issuer.issue("probe")
    files = client.files(tmp_path)
    checks = probing(type="https", https_verify_certificate=False)
    answer = says(b"HTTP/1.1 200 OK\r\n")
    shown = {
        None: Result.TCP_FAILURE,
        Pair(client.cert, client.key): Result.SUCCESS,
        Pair(str(files[0]), str(files[1]), in_files=True): Result.SUCCESS,
        Pair(client.cert, issuer.issue("other").key): Result.TCP_FAILURE,
    }
    others = tmp_path / "server"
    others.mkdir()
    async with server(answer, tls=asking(others, issuer)) as where:
        prober = Prober()
        for pair, result in shown.items():
            assert await prober.probe(where, "localhost", "", checks, pair) is result, pair


def test_the_upstreams_own_comes_before_the_configured_one_and_is_read_each_time() -> None:
    state = pinned(certificate(PEMS[0], PEMS[1]))
    found = ClientCertificates(lambda: state, ("cert.pem", "key.pem"))
    assert found.of("") == Pair("cert.pem", "key.pem", in_files=True)
    assert found.of(OWN) == Pair(PEMS[0], PEMS[1])
    state = pinned(certificate(PEMS[2], PEMS[3]))
    assert found.of(OWN) == Pair(PEMS[2], PEMS[3])
    assert ClientCertificates(lambda: state).of("") is None


def test_one_that_is_not_there_is_an_error_by_its_id() -> None:
    for state in (None, pinned(target(1)), pinned(("certificates", OWN, json.dumps({"id": OWN})))):
        with pytest.raises(NoCertificate, match=OWN):
            ClientCertificates(lambda state=state: state).of(OWN)  # type: ignore[misc]


def test_its_key_may_stand_in_the_environment() -> None:
    vault = ("vaults", uuid_of(8), json.dumps({"id": uuid_of(8), "name": "env", "prefix": "own"}))
    state = pinned(certificate("{vault://env/cert}", "{vault://own/key}"), vault)
    found = ClientCertificates(lambda: state, environ={"CERT": PEMS[0], "KEY": PEMS[1]})
    assert found.of(OWN) == Pair(PEMS[0], PEMS[1])


async def test_a_target_is_out_until_its_upstreams_certificate_is_there(
    tmp_path: Path, running: Callable[[Cluster], None]
) -> None:
    issuer = Issuer()
    client = issuer.issue("probe")
    checks = active(0.02, 1, type="https", https_verify_certificate=False)
    fields = {
        "id": UPSTREAM_ID,
        "name": "u1",
        "healthchecks": checks,
        "client_certificate": {"id": OWN},
    }
    own = ("upstreams", UPSTREAM_ID, json.dumps(fields))
    tls = asking(tmp_path, issuer)
    async with server(says(b"HTTP/1.1 200 OK\r\n"), tls=tls) as where, asyncio.timeout(20):
        at = target(1, where.host, where.port)
        which = address(1, where.host, where.port)
        cluster = Cluster(1, own, at)
        running(cluster)
        await cluster.until_all(which, False)
        cluster.nodes[0].pinned = pinned(own, at, certificate(client.cert, client.key))
        await cluster.until_all(which, True)
