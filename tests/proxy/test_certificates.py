"""Which certificate a client is shown, by real handshakes with a real worker."""

import asyncio
import json
import os
import socket
import ssl
import time
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization

from node.channel import Change
from node.proxy import limits, pem
from node.proxy.certificates import patterns
from node.proxy.settings import Listener, ProxySettings
from node.proxy.table import Table
from node.proxy.tls import ServerTls
from tests.proxy.certificates import Issuer, Pair, common_name, key_type, self_signed
from tests.proxy.client import connected
from tests.proxy.conftest import Origin
from tests.proxy.process import WorkerProcess, route, running, service


def certificate(pair: Pair, certificate_id: str | None = None, **fields: Any) -> Change:
    entity_id = certificate_id or str(uuid.uuid4())
    entity = {"id": entity_id, "cert": pair.cert, "key": pair.key, **fields}
    return ("certificates", entity_id, json.dumps(entity))


def sni(name: str, shown: Change, sni_id: str | None = None) -> Change:
    entity_id = sni_id or str(uuid.uuid4())
    entity = {"id": entity_id, "name": name, "certificate": {"id": shown[1]}}
    return ("snis", entity_id, json.dumps(entity))


@pytest.fixture(scope="module")
def issuer() -> Issuer:
    return Issuer()


def trusting_all(**options: Any) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    for name, value in options.items():
        setattr(context, name, value)
    return context


@asynccontextmanager
async def serving(folder: Path, *changes: Change, **settings: Any) -> AsyncIterator[WorkerProcess]:
    """A worker whose default certificate is for ``default.test``."""
    cert, key = self_signed(folder, "default.test")
    async with running(changes, ssl_cert=str(cert), ssl_cert_key=str(key), **settings) as worker:
        yield worker


async def shown(worker: WorkerProcess, name: str | None, **options: Any) -> str:
    """Whose certificate a client is shown that asks for a name."""
    return common_name(await presented(worker, name, **options))


async def presented(worker: WorkerProcess, name: str | None, **options: Any) -> bytes:
    async with connected(worker.port, tls=trusting_all(**options), name=name or "") as client:
        der: bytes = client.writer.get_extra_info("ssl_object").getpeercert(True)
        return der


@pytest.mark.parametrize(
    ("name", "tried"),
    [
        ("a.b.c", ["a.b.c", "*.b.c", "a.b.*", "*"]),
        ("A.B.c.", ["a.b.c", "*.b.c", "a.b.*", "*"]),
        ("a.b.c.d", ["a.b.c.d", "*.b.c.d", "a.b.c.*", "*"]),
        ("b.c", ["b.c", "b.*", "*"]),
        ("localhost", ["localhost", "*"]),
        ("*.b.c", ["*.b.c", "*"]),
        ("*", ["*"]),
    ],
)
def test_the_names_that_are_tried_are_kongs(name: str, tried: list[str]) -> None:
    assert list(patterns(name)) == tried


async def test_the_most_exact_name_counts(issuer: Issuer, tmp_path: Path) -> None:
    pairs = {
        name: certificate(issuer.issue(f"for {name}"))
        for name in ("a.b.test", "*.b.test", "a.b.*", "c.*")
    }
    changes = [*pairs.values(), *[sni(name, pair) for name, pair in pairs.items()]]
    async with serving(tmp_path, *changes) as worker:
        assert await shown(worker, "a.b.test") == "for a.b.test"
        assert await shown(worker, "A.b.Test") == "for a.b.test"
        assert await shown(worker, "x.b.test") == "for *.b.test"
        assert await shown(worker, "a.b.example") == "for a.b.*"
        assert await shown(worker, "c.test") == "for c.*"
        assert await shown(worker, "x.y.b.test") == "default.test"
        assert await shown(worker, "other.test") == "default.test"
        assert await shown(worker, None) == "default.test"
        any_name = certificate(issuer.issue("for any"))
        await worker.apply(any_name, sni("*", any_name))
        assert await shown(worker, "other.test") == "for any"
        assert await shown(worker, None) == "default.test", "as Kong: no name, no look-up"


async def test_a_change_counts_from_the_next_handshake_on(
    issuer: Issuer, echo: Origin, tmp_path: Path
) -> None:
    first = certificate(issuer.issue("first"))
    name = sni("a.test", first)
    target = service(echo.url)
    async with (
        serving(tmp_path, first, name, target, route(target, paths=["/"])) as worker,
        connected(worker.port, tls=trusting_all(), name="a.test") as client,
    ):
        assert (await client.get()).status == 200
        await worker.apply(certificate(issuer.issue("second"), first[1]))
        assert await shown(worker, "a.test") == "second"
        other = certificate(issuer.issue("third"))
        await worker.apply(other, sni("a.test", other, name[1]))
        assert await shown(worker, "a.test") == "third"
        await worker.apply(("snis", name[1], None))
        assert await shown(worker, "a.test") == "default.test"
        assert (await client.get()).status == 200, "the connection goes on"


async def test_a_certificate_may_stand_in_the_environment_of_the_worker(
    issuer: Issuer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pairs = {prefix: issuer.issue(f"of {prefix}") for prefix in ("", "A_", "B_")}
    for prefix, pair in pairs.items():
        text = json.dumps({"cert": pair.cert, "key": pair.key})
        monkeypatch.setenv(f"{prefix}TLS_PAIR", text)

    def by(vault: str) -> Change:
        parts = {name: f"{{vault://{vault}/tls-pair/{name}}}" for name in ("cert", "key")}
        return certificate(pairs[""], **parts)

    def vault(prefix: str) -> Change:
        entity = {"prefix": "mine", "name": "env", "config": {"prefix": prefix}}
        return ("vaults", "1", json.dumps(entity))

    plain, mine = by("env"), by("mine")
    names = sni("env.test", plain), sni("mine.test", mine)
    async with serving(tmp_path, plain, mine, *names, vault("A_")) as worker:
        assert await shown(worker, "env.test") == "of "
        assert await shown(worker, "mine.test") == "of A_"
        await worker.apply(vault("B_"))
        assert await shown(worker, "mine.test") == "of B_"
        await worker.apply(("vaults", "1", None))
        assert await shown(worker, "mine.test") == "default.test"
        assert await shown(worker, "env.test") == "of "
        await worker.stop()
    assert "PRIVATE" not in worker.log
    assert "there is no vault 'mine'" in worker.log


async def test_a_pair_of_algorithms_is_chosen_from_by_the_client(
    issuer: Issuer, tmp_path: Path
) -> None:
    ecdsa, rsa = issuer.issue("a.test"), issuer.issue("a.test", rsa_key=True)
    both = certificate(rsa, cert_alt=ecdsa.cert, key_alt=ecdsa.key)
    only = ssl.TLSVersion.TLSv1_2
    async with serving(tmp_path, both, sni("a.test", both)) as worker:
        for cipher, kind in (("ECDHE-RSA-AES128-GCM-SHA256", "RSA"), ("ECDHE+ECDSA", "EC")):
            tls = trusting_all(maximum_version=only)
            tls.set_ciphers(cipher)
            async with connected(worker.port, tls=tls, name="a.test") as client:
                session = client.writer.get_extra_info("ssl_object")
                assert key_type(session.getpeercert(True)) == kind


async def test_a_chain_is_sent_whole(tmp_path: Path) -> None:
    root = Issuer("root")
    pair = certificate(Issuer("intermediate", root).issue("a.test"))
    tls = ssl.create_default_context(cadata=root.pem)
    async with (
        serving(tmp_path, pair, sni("a.test", pair)) as worker,
        connected(worker.port, tls=tls, name="a.test") as client,
    ):
        assert client.writer.get_extra_info("ssl_object").version() == "TLSv1.3"


BROKEN: dict[str, dict[str, Any]] = {
    "no PEM": {"cert": "certificate", "key": "key"},
    "PEM in name only": {"cert": "-----BEGIN CERTIFICATE-----\nx", "key": "-----BEGIN "},
    "a reference": {"cert": "{vault://env/cert}"},
    "no key": {"key": None},
}


@pytest.mark.parametrize("name", BROKEN)
async def test_a_broken_certificate_is_left_out_alone(
    name: str, issuer: Issuer, tmp_path: Path
) -> None:
    pair = issuer.issue("broken")
    broken = certificate(pair, **BROKEN[name])
    sound = certificate(issuer.issue("sound"))
    async with serving(
        tmp_path, broken, sni("a.test", broken), sound, sni("b.test", sound)
    ) as worker:
        assert await shown(worker, "b.test") == "sound"
        for _ in range(2):
            assert await shown(worker, "a.test") == "default.test"
        await worker.counted("entities_refused")
        await worker.apply(certificate(pair, broken[1]))
        assert await shown(worker, "a.test") == "broken", "it was mended"
        await worker.stop()
    log = worker.log
    assert log.count(f"certificates {broken[1]} is left out") == 1
    assert "PRIVATE" not in log
    assert "Traceback" not in log


async def test_a_key_of_another_certificate_is_left_out_by_name(
    issuer: Issuer, tmp_path: Path
) -> None:
    mixed = certificate(Pair(issuer.issue("a").cert, issuer.issue("b").key))
    async with serving(tmp_path, mixed, sni("a.test", mixed)) as worker:
        assert await shown(worker, "a.test") == "default.test"
        await worker.stop()
    assert f"certificates {mixed[1]} is left out" in worker.log
    assert "MISMATCH" in worker.log.upper()


async def test_https_only_routes_and_those_of_server_names(echo: Origin, tmp_path: Path) -> None:
    target = service(echo.url)
    named = route(target, paths=["/"], snis=["a.test"], protocols=["https"])
    wild = route(target, paths=["/"], snis=["*.b.test"], protocols=["https"])
    async with serving(tmp_path, target, named, wild) as worker:
        for name, status in (("a.test", 200), ("x.b.test", 200), ("c.test", 404)):
            async with connected(worker.port, tls=trusting_all(), name=name) as client:
                assert (await client.get()).status == status, name


@pytest.mark.parametrize("name", [b"\xff\xfe.test", b"a" * 255, b".", b"a..b", b"*", b"%s%d"])
async def test_whatever_name_is_asked_for_leaves_the_worker_sound(
    name: bytes, issuer: Issuer, tmp_path: Path
) -> None:
    pair = certificate(issuer.issue("a"))
    async with serving(tmp_path, pair, sni("a.test", pair)) as worker:
        async with connected(worker.port) as client:
            client.send(client_hello(name))
            await client.reader.read(1)
        assert await shown(worker, "a.test") == "a"
        await worker.stop()
    assert "Traceback" not in worker.log
    assert "Exception" not in worker.log


def client_hello(name: bytes) -> bytes:
    """A ClientHello as OpenSSL writes it, with a server name that it would not write."""
    labels = "".join("." if number % 50 == 49 else "n" for number in range(len(name) - 1))
    stand_in = f"{labels}n".encode()
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = trusting_all().wrap_bio(incoming, outgoing, server_hostname=stand_in.decode())
    with pytest.raises(ssl.SSLWantReadError):
        tls.do_handshake()
    hello = outgoing.read()
    field = b"\0" + len(name).to_bytes(2, "big")
    assert field + stand_in in hello
    return hello.replace(field + stand_in, field + name)


async def test_ssl_protocols_bound_the_versions(tmp_path: Path) -> None:
    async with serving(tmp_path, ssl_protocols=("TLSv1.3",)) as worker:
        assert await shown(worker, None) == "default.test"
        with pytest.raises((ssl.SSLError, ConnectionError)):
            await shown(worker, None, maximum_version=ssl.TLSVersion.TLSv1_2)


async def test_ssl_ciphers_hold_for_every_certificate(issuer: Issuer, tmp_path: Path) -> None:
    pair = certificate(issuer.issue("a.test"))
    async with serving(
        tmp_path, pair, sni("a.test", pair), ssl_ciphers="ECDHE-ECDSA-AES256-GCM-SHA384"
    ) as worker:
        for name in ("a.test", "default.test"):
            tls = trusting_all(maximum_version=ssl.TLSVersion.TLSv1_2)
            async with connected(worker.port, tls=tls, name=name) as client:
                session = client.writer.get_extra_info("ssl_object")
                assert session.cipher()[0] == "ECDHE-ECDSA-AES256-GCM-SHA384"


@pytest.mark.parametrize("tickets", [True, False])
async def test_sessions_are_resumed_by_ticket_unless_that_is_off(
    tickets: bool, issuer: Issuer, echo: Origin, tmp_path: Path
) -> None:
    pair = certificate(issuer.issue("a.test"))
    target = service(echo.url)
    changes = (pair, sni("a.test", pair), target, route(target, paths=["/"]))
    tls = trusting_all()
    async with serving(tmp_path, *changes, ssl_session_tickets=tickets) as worker:
        session = None
        for resumed in (False, tickets):
            session, reused = await asyncio.to_thread(ask, worker.port, tls, session)
            assert reused == resumed


def ask(
    port: int, tls: ssl.SSLContext, session: ssl.SSLSession | None
) -> tuple[ssl.SSLSession | None, bool | None]:
    """One request with an earlier session: this one's, and whether that one was taken up."""
    with (
        socket.create_connection(("127.0.0.1", port)) as plain,
        tls.wrap_socket(plain, server_hostname="a.test", session=session) as secure,
    ):
        secure.sendall(b"GET / HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n")
        while secure.recv(65536):
            pass
        return secure.session, secure.session_reused


def settings_with(folder: Path) -> ProxySettings:
    cert, key = self_signed(folder, "default.test")
    return ProxySettings(
        worker=0,
        listeners=(Listener(-1, "127.0.0.1", 0, True, 1),),
        version="0",
        trusted_ips=(),
        real_ip_header="X-Real-IP",
        real_ip_recursive=False,
        headers=(),
        access_log="off",
        error_log="off",
        log_level="notice",
        client_max_body_size=0,
        upstream_keepalive_pool_size=1,
        upstream_keepalive_max_requests=1,
        upstream_keepalive_idle_timeout=1.0,
        ssl_cert=str(cert),
        ssl_cert_key=str(key),
        router_flavor="traditional_compatible",
    )


class Held:
    """A table with what makes contexts of it."""

    def __init__(self, folder: Path, *changes: Change) -> None:
        self.refused: list[str] = []
        self.table = Table(self.refused.append)
        self.table.apply((1, 0, 1), changes)
        self.tls = ServerTls(settings_with(folder), lambda: self.table, self.refused.append)


def test_of_many_names_only_those_asked_for_cost(issuer: Issuer, tmp_path: Path) -> None:
    pair = issuer.issue("a.test")
    changes: list[Change] = []
    for number in range(10_000):
        shown_one = certificate(pair)
        changes += [shown_one, sni(f"n{number}.test", shown_one)]
    started = time.process_time()
    held = Held(tmp_path, *changes)
    assert time.process_time() - started < 5.0
    assert len(held.tls) == 0
    first = held.tls.choose("n17.test")
    assert first is not None
    assert held.tls.choose("n17.test") is first
    assert held.tls.choose("other.test") is None
    assert len(held.tls) == 1


def test_the_contexts_are_bounded_and_the_latest_used_are_kept(
    issuer: Issuer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "SERVER_CONTEXTS_MAX", 2)
    pair = issuer.issue("a.test")
    ones = [certificate(pair) for _ in range(3)]
    held = Held(tmp_path, *ones, *[sni(f"n{number}.test", one) for number, one in enumerate(ones)])
    first = held.tls.choose("n0.test")
    second = held.tls.choose("n1.test")
    assert held.tls.choose("n0.test") is first
    held.tls.choose("n2.test")
    assert held.tls.choose("n0.test") is first
    assert held.tls.choose("n1.test") is not second
    assert len(held.tls) == 2


def test_a_new_table_keeps_the_contexts_of_what_is_as_before(
    issuer: Issuer, tmp_path: Path
) -> None:
    same, changed, gone = (certificate(issuer.issue(name)) for name in "abc")
    names = [sni("a.test", same), sni("b.test", changed), sni("c.test", gone)]
    held = Held(tmp_path, same, changed, gone, *names)
    before = {name: held.tls.choose(name) for name in ("a.test", "b.test", "c.test")}
    held.table = Table(held.refused.append)
    held.table.apply((1, 0, 2), [same, certificate(issuer.issue("b"), changed[1]), *names[:2]])
    held.tls.loaded()
    assert len(held.tls) == 1
    assert held.tls.choose("a.test") is before["a.test"]
    assert held.tls.choose("b.test") is not before["b.test"]
    assert held.tls.choose("c.test") is None


@pytest.mark.parametrize("memory", [True, False], ids=["memfd", "pipe"])
def test_a_key_is_handed_over_without_a_file_or_a_descriptor_left(
    memory: bool, issuer: Issuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not memory:
        monkeypatch.delattr(os, "memfd_create", raising=False)
    pair = issuer.issue("a.test", rsa_key=True)
    before = os.listdir("/dev/fd")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    pem.load_pair(context, pair.cert, pair.key)
    with pytest.raises((ssl.SSLError, OSError)):
        pem.load_pair(context, pair.cert, "")
    assert os.listdir("/dev/fd") == before


def test_what_does_not_fit_a_pipe_is_refused_and_not_waited_for(
    issuer: Issuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(os, "memfd_create", raising=False)
    pair = issuer.issue("a.test")
    with pytest.raises(OSError, match="too long"):
        pem.load_pair(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), pair.cert + " " * 2**21, pair.key)


def test_an_encrypted_key_is_refused_and_no_password_asked_for(issuer: Issuer) -> None:
    pair = issuer.issue("a.test")
    key = serialization.load_pem_private_key(pair.key.encode(), None)
    locked = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(b"secret"),
    ).decode()
    with pytest.raises((ssl.SSLError, ValueError)):
        pem.load_pair(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), pair.cert, locked)
