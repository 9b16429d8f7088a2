"""Listeners with ``ssl``: the certificate that a node makes for itself when none is configured."""

import ssl

from tests.system.conftest import StartCluster


async def test_proxy_and_admin_listeners_speak_tls_with_a_certificate_made_once(
    start_cluster: StartCluster,
) -> None:
    cluster = await start_cluster(1)
    node = cluster.nodes[0]
    await node.stop()
    proxy, admin = node.ports.proxy + 20, node.ports.admin + 20
    node.configure(
        {
            "database": "sqlite",
            "sqlite_path": str(cluster.home / "authority.db"),
            "proxy_listen": f"127.0.0.1:{node.ports.proxy}, 127.0.0.1:{proxy} ssl http2",
            "admin_listen": f"127.0.0.1:{node.ports.admin}, 127.0.0.1:{admin} ssl",
        }
    )
    certificate = node.prefix / "ssl" / "default.crt"
    made: list[bytes] = []
    for _ in range(2):
        await node.start()
        await node.until_ready(cluster.session)
        made.append(certificate.read_bytes())
        assert (node.prefix / "ssl" / "default.key").stat().st_mode & 0o777 == 0o600
        trust = ssl.create_default_context(cafile=str(certificate))
        async with cluster.session.get(f"https://localhost:{admin}/status", ssl=trust) as response:
            assert response.status == 200
        url = f"https://localhost:{proxy}/nowhere"
        async with cluster.session.get(url, ssl=trust) as response:
            assert response.status == 404
            assert (await response.json())["message"] == "no Route matched with those values"
        await node.stop()
    assert made[0] == made[1]
