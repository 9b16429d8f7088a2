"""TLS to upstreams: real handshakes between a real worker and servers that want certificates."""

import asyncio
import json
import ssl
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from node.channel import Change
from node.proxy import limits
from node.proxy.entities import read_service
from node.proxy.settings import ProxySettings
from node.proxy.table import Table
from node.proxy.upstream_tls import TlsRefused, UpstreamTls
from tests.proxy.balancing.upstreams import target, upstream
from tests.proxy.certificates import Issuer, Pair, common_name, self_signed_pair
from tests.proxy.client import Client, Response, connected
from tests.proxy.conftest import Origin, echo_back
from tests.proxy.nameserver import name_server
from tests.proxy.process import WorkerProcess, route, running, service
from tests.proxy.test_certificates import certificate, settings_with


def authority(issuer: Issuer, authority_id: str | None = None) -> Change:
    entity_id = authority_id or str(uuid.uuid4())
    return ("ca_certificates", entity_id, json.dumps({"id": entity_id, "cert": issuer.pem}))


class TlsOrigin(Origin):
    """An upstream that remembers the server names and the client certificates it was shown."""

    def __init__(self) -> None:
        super().__init__(echo_back)
        self.names: list[str | None] = []
        self.clients: list[str] = []
        self.open = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        der = writer.get_extra_info("ssl_object").getpeercert(True)
        self.clients.append(common_name(der) if der else "")
        self.open += 1
        try:
            await super().serve(reader, writer)
        finally:
            self.open -= 1


@asynccontextmanager
async def tls_origin(
    folder: Path, pair: Pair, clients: Issuer | None = None
) -> AsyncIterator[TlsOrigin]:
    """An upstream with a certificate; it wants one of its clients if an issuer is given."""
    made = TlsOrigin()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*pair.files(folder))
    context.sni_callback = lambda tls, name, context: made.names.append(name)
    if clients is not None:
        context.load_verify_locations(cadata=clients.pem)
        context.verify_mode = ssl.CERT_OPTIONAL
    server = await asyncio.start_server(made.serve, "127.0.0.1", 0, ssl=context)
    made.port = server.sockets[0].getsockname()[1]
    try:
        yield made
    finally:
        server.close()


def to(origin: Origin, **fields: Any) -> tuple[Change, Change]:
    target = service(f"https://127.0.0.1:{origin.port}", retries=0, **fields)
    return target, route(target, paths=["/"], preserve_host=True, request_buffering=False)


async def asked(worker: WorkerProcess, host: str = "a.test") -> Response:
    async with connected(worker.port) as client:
        return await client.get(host=host)


async def test_the_server_name_is_the_host_that_the_upstream_is_sent(tmp_path: Path) -> None:
    async with tls_origin(tmp_path, Issuer().issue("a.test")) as origin:
        target, kept = to(origin)
        own = route(target, hosts=["own.test"], paths=["/"])
        async with running([target, kept, own]) as worker:
            for host in ("a.test:8443", "B.test", "own.test"):
                assert (await asked(worker, host)).status == 200
    assert origin.names == ["a.test", "b.test", None], "the service's address is no server name"


async def test_connections_are_kept_for_one_server_name_each(tmp_path: Path) -> None:
    async with (
        tls_origin(tmp_path, Issuer().issue("a.test")) as origin,
        running(to(origin)) as worker,
    ):
        for host in ("a.test", "b.test", "a.test", "b.test"):
            assert (await asked(worker, host)).status == 200
    assert origin.names == ["a.test", "b.test"]


async def test_nothing_is_verified_unless_the_service_says_so(tmp_path: Path) -> None:
    pair = self_signed_pair("other.test")
    async with tls_origin(tmp_path, pair) as origin:
        target, leading = to(origin)
        async with running([target, leading]) as worker:
            assert (await asked(worker)).status == 200
            await worker.apply(to(origin, service_id=target[1], tls_verify=True)[0])
            assert (await asked(worker)).status == 502
            await worker.stop()
    assert worker.log.count("CERTIFICATE_VERIFY_FAILED") == 1, "one line, and it says why"


@pytest.mark.parametrize(
    ("host", "issued_for", "trusted", "status", "reason"),
    [
        ("a.test", "a.test", True, 200, ""),
        ("a.test", "a.test", False, 502, "self-signed certificate in certificate chain"),
        ("a.test", "b.test", True, 502, "Hostname mismatch"),
        ("127.0.0.1", "127.0.0.1", True, 200, ""),
        ("a$.test", "a.test", True, 502, "Hostname mismatch"),
        ("a..test", "a.test", True, 502, "no name that a certificate could have"),
    ],
)
async def test_a_service_is_verified_by_its_own_authorities(
    host: str, issued_for: str, trusted: bool, status: int, reason: str, tmp_path: Path
) -> None:
    issuer = Issuer()
    trusts = authority(issuer if trusted else Issuer("other"))
    pair = issuer.issue(issued_for)
    async with tls_origin(tmp_path, Pair(pair.cert + issuer.pem, pair.key)) as origin:
        changes = to(origin, tls_verify=True, ca_certificates=[trusts[1]])
        async with running([trusts, *changes]) as worker:
            assert (await asked(worker, host)).status == status
            await worker.stop()
    assert reason in worker.log


async def test_without_its_own_it_is_verified_by_the_configured_ones(tmp_path: Path) -> None:
    issuer = Issuer()
    file = tmp_path / "authorities.pem"
    file.write_text(issuer.pem)
    async with tls_origin(tmp_path, issuer.issue("a.test")) as origin:
        changes = to(origin, tls_verify=True)
        async with running(changes, trusted_certificates=("system", str(file))) as worker:
            assert (await asked(worker)).status == 200


async def test_an_authority_that_is_not_there_is_not_replaced_by_others(tmp_path: Path) -> None:
    missing = str(uuid.uuid4())
    async with (
        tls_origin(tmp_path, Issuer().issue("a.test")) as origin,
        running(to(origin, tls_verify=True, ca_certificates=[missing])) as worker,
    ):
        assert (await asked(worker)).status == 502
        await worker.stop()
    assert f"CA Certificate '{missing}' does not exist" in worker.log


@pytest.mark.parametrize(("depth", "status"), [(0, 502), (1, 502), (2, 200), (None, 200)])
async def test_tls_verify_depth_counts_the_certificates_in_between(
    depth: int | None, status: int, tmp_path: Path
) -> None:
    root = Issuer("root")
    second = Issuer("second", Issuer("first", root))
    trusted = authority(root)
    async with tls_origin(tmp_path, second.issue("a.test")) as origin:
        changes = to(origin, tls_verify=True, ca_certificates=[trusted[1]], tls_verify_depth=depth)
        async with running([trusted, *changes]) as worker:
            assert (await asked(worker)).status == status
            await worker.stop()
    assert ("chain too long" in worker.log) == (status == 502)


async def test_the_services_client_certificate_is_shown_else_the_configured_one(
    tmp_path: Path,
) -> None:
    issuer = Issuer()
    (tmp_path / "node").mkdir()
    cert, key = issuer.issue("the node").files(tmp_path / "node")
    own = certificate(issuer.issue("the service"))
    async with tls_origin(tmp_path, issuer.issue("a.test"), issuer) as origin:
        target, leading = to(origin)
        async with running([target, leading, own]) as worker:
            assert (await asked(worker)).status == 200
        async with running(
            [target, leading, own], client_ssl_cert=str(cert), client_ssl_cert_key=str(key)
        ) as worker:
            assert (await asked(worker)).status == 200
            shows_own = to(origin, service_id=target[1], client_certificate={"id": own[1]})[0]
            await worker.apply(shows_own)
            assert (await asked(worker)).status == 200
    assert origin.clients == ["", "the node", "the service"]


async def test_the_upstreams_client_certificate_comes_between_the_two(tmp_path: Path) -> None:
    issuer = Issuer()
    shown = certificate(issuer.issue("the upstream"))
    async with tls_origin(tmp_path, issuer.issue("a.test"), issuer) as origin:
        pool = {"id": str(uuid.uuid4()), "name": "pool", "client_certificate": {"id": shown[1]}}
        place = f"127.0.0.1:{origin.port}"
        member = {"id": str(uuid.uuid4()), "target": place, "upstream": {"id": pool["id"]}}
        target = service("https://pool:443", retries=0)
        changes = [
            shown,
            ("upstreams", str(pool["id"]), json.dumps(pool)),
            ("targets", str(member["id"]), json.dumps({**member, "weight": 100})),
            target,
            route(target, paths=["/"], preserve_host=True),
        ]
        async with running(changes) as worker:
            assert (await asked(worker)).status == 200
    assert origin.clients == ["the upstream"]
    assert origin.names == ["a.test"]


async def test_a_changed_client_certificate_ends_the_idle_connections_with_the_old(
    tmp_path: Path,
) -> None:
    issuer = Issuer()
    own = certificate(issuer.issue("old"))
    async with tls_origin(tmp_path, issuer.issue("a.test"), issuer) as origin:
        changes = to(origin, client_certificate={"id": own[1]})
        async with running([*changes, own]) as worker:
            for _ in range(2):
                assert (await asked(worker)).status == 200
            assert origin.open == 1
            await worker.apply(certificate(issuer.issue("new"), own[1]))
            async with asyncio.timeout(20):
                while origin.open:
                    await asyncio.sleep(0)
            assert (await asked(worker)).status == 200
    assert origin.clients == ["old", "new"]


async def test_a_request_in_flight_outlives_the_certificate_but_its_connection_does_not(
    tmp_path: Path,
) -> None:
    issuer = Issuer()
    own = certificate(issuer.issue("old"))
    async with tls_origin(tmp_path, issuer.issue("a.test"), issuer) as origin:
        changes = to(origin, client_certificate={"id": own[1]})
        async with running([*changes, own]) as worker, connected(worker.port) as client:
            await begin_upload(client, origin)
            await worker.apply(certificate(issuer.issue("new"), own[1]))
            client.send(b"b")
            assert (await client.response()).text.endswith("ab")
            assert (await asked(worker)).status == 200
    assert origin.clients == ["old", "new"]


async def begin_upload(client: Client, origin: Origin) -> None:
    client.send(b"POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 2\r\n\r\na")
    async with asyncio.timeout(20):
        while not origin.heads:
            await asyncio.sleep(0)


async def test_a_client_certificate_that_is_gone_fails_the_request(tmp_path: Path) -> None:
    issuer = Issuer()
    own = certificate(issuer.issue("service"))
    async with tls_origin(tmp_path, issuer.issue("a.test"), issuer) as origin:
        changes = to(origin, client_certificate={"id": own[1]})
        async with running([*changes, own]) as worker:
            assert (await asked(worker)).status == 200
            await worker.apply(("certificates", own[1], None))
            assert (await asked(worker)).status == 502
            await worker.stop()
    assert f"certificate {own[1]} not found" in worker.log


class Held:
    """Identities over a table."""

    def __init__(self, settings: ProxySettings, *changes: Change) -> None:
        self.table = Table(lambda reason: None)
        self.table.apply((1, 0, 1), changes)
        self.ended = 0
        self.tls = UpstreamTls(settings, lambda: self.table, self._end)

    def _end(self) -> None:
        self.ended += 1


def a_service(**fields: Any) -> Any:
    entity = {"id": "s", "protocol": "https", "host": "a.test", **fields}
    return read_service(json.dumps(entity))


def test_services_that_ask_for_the_same_share_an_identity(tmp_path: Path) -> None:
    first, second = authority(Issuer("1")), authority(Issuer("2"))
    held = Held(settings_with(tmp_path), first, second)
    ids = [first[1], second[1]]
    one = held.tls.to(a_service(tls_verify=True, ca_certificates=ids), b"a.test")
    other = held.tls.to(a_service(id="t", tls_verify=True, ca_certificates=ids[::-1]), b"a.test")
    assert one == other
    assert held.tls.to(a_service(ca_certificates=ids), b"a.test") != one
    assert held.tls.to(a_service(), b"a.test") == held.tls.to(a_service(), b"A.test.:443")
    assert held.tls.to(a_service(protocol="http"), b"a.test") is None


def test_the_services_certificate_comes_before_the_upstreams(tmp_path: Path) -> None:
    pairs = [certificate(Issuer().issue(name)) for name in ("service", "upstream")]
    held = Held(settings_with(tmp_path), *pairs)
    of_service, of_upstream = (pair[1] for pair in pairs)
    own = a_service(client_certificate={"id": of_service})
    assert held.tls.to(own, b"a", of_upstream) == held.tls.to(own, b"a")
    shown = held.tls.to(a_service(), b"a", of_upstream)
    assert shown is not None
    assert [each.id for each in shown.identity.made_of] == [of_upstream]


def test_identities_end_with_what_they_are_made_of_and_no_others(tmp_path: Path) -> None:
    first, second = authority(Issuer("1")), authority(Issuer("2"))
    held = Held(settings_with(tmp_path), first, second)
    one, other = (
        held.tls.to(a_service(tls_verify=True, ca_certificates=[id]), b"a.test")
        for id in (first[1], second[1])
    )
    assert one is not None
    assert other is not None
    held.tls.changed(["another"])
    assert held.ended == 0
    held.tls.changed([first[1]])
    assert (one.identity.current, other.identity.current, held.ended) == (False, True, 1)
    held.table = Table(lambda reason: None)
    held.table.apply((1, 0, 2), [first, second])
    held.tls.loaded()
    assert other.identity.current, "it is in the new table as it was"
    held.table = Table(lambda reason: None)
    held.tls.loaded()
    assert not other.identity.current
    assert len(held.tls) == 0


def test_identities_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "UPSTREAM_CONTEXTS_MAX", 1)
    pairs = [certificate(Issuer().issue(name)) for name in "ab"]
    held = Held(settings_with(tmp_path), *pairs)
    one, other = (
        held.tls.to(a_service(client_certificate={"id": pair[1]}), b"a.test") for pair in pairs
    )
    assert one is not None
    assert other is not None
    assert (one.identity.current, other.identity.current) == (False, True)


def test_a_client_certificate_that_is_broken_is_named(tmp_path: Path) -> None:
    broken = certificate(Pair(Issuer().issue("a").cert, Issuer().issue("b").key))
    held = Held(settings_with(tmp_path), broken)
    with pytest.raises(TlsRefused, match=broken[1]):
        held.tls.to(a_service(client_certificate={"id": broken[1]}), b"a.test")


async def test_a_balanced_try_asks_for_its_targets_name_and_shows_the_upstreams_certificate(
    tmp_path: Path,
) -> None:
    issuer = Issuer()
    shown = certificate(issuer.issue("the upstream"))
    up = upstream("up.test", client_certificate={"id": shown[1]})
    zone = {("one.test", "A"): ["127.0.0.1"]}
    async with (
        name_server(zone) as server,
        tls_origin(tmp_path, issuer.issue("one.test"), issuer) as origin,
    ):
        trusted = authority(issuer)
        leads = service(
            "https://up.test:1", retries=0, tls_verify=True, ca_certificates=[trusted[1]]
        )
        changes = [up, target(up, f"one.test:{origin.port}"), shown, trusted]
        async with running(
            [*changes, leads, route(leads, paths=["/"])],
            dns_resolver=(("127.0.0.1", server.port),),
            dns_hostsfile="/nonexistent",
        ) as worker:
            assert (await asked(worker)).status == 200
    assert (origin.names, origin.clients) == (["one.test"], ["the upstream"])
