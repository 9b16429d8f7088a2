"""Kong Manager as a node serves it: its listeners, and pages that may use the Admin API."""

import json
import ssl
from pathlib import Path

from node.demo.cluster import LocalNode
from tests.store.pems import pair
from tests.system.conftest import StartCluster


async def test_a_page_from_the_node_may_use_its_admin_api(
    start_cluster: StartCluster, tmp_path: Path
) -> None:
    manager = tmp_path / "manager"
    manager.mkdir()
    (manager / "index.html").write_text('<script src="/__km_base__/assets/app.js"></script>')
    made = pair("localhost")
    certificate, key = tmp_path / "gui.crt", tmp_path / "gui.key"
    certificate.write_text(made.cert)
    key.write_text(made.key)

    def own(node: LocalNode) -> dict[str, str]:
        plain, tls = node.ports.proxy + 2, node.ports.proxy + 3
        return {
            "admin_gui_listen": f"127.0.0.1:{plain}, 127.0.0.1:{tls} ssl",
            "admin_gui_path_dir": str(manager),
            "admin_gui_path": "/manager",
            "admin_gui_ssl_cert": str(certificate),
            "admin_gui_ssl_cert_key": str(key),
        }

    cluster = await start_cluster(1, own=own)
    (node,) = cluster.nodes
    page = f"http://127.0.0.1:{node.ports.proxy + 2}"
    async with cluster.session.get(f"{page}/manager/services") as response:
        assert response.status == 200
        assert await response.text() == '<script src="/manager/assets/app.js"></script>'
    async with cluster.session.get(f"{page}/manager/kconfig.js") as response:
        script = (await response.text()).removeprefix("window.K_CONFIG = ")
        assert json.loads(script)["ADMIN_API_PORT"] == str(node.ports.admin)
    trust = ssl.create_default_context(cafile=str(certificate))
    trust.check_hostname = False  # it is made for tests and names its host the old way
    url = f"https://localhost:{node.ports.proxy + 3}/manager/"
    async with cluster.session.get(url, ssl=trust) as response:
        assert response.status == 200
    preflight = {"Origin": page, "Access-Control-Request-Method": "POST"}
    async with cluster.session.options(f"{node.admin_url}/services", headers=preflight) as answer:
        assert answer.headers["Access-Control-Allow-Origin"] == page
        assert "POST" in answer.headers["Access-Control-Allow-Methods"]
    body = {"name": "s", "host": "h.test"}
    async with cluster.session.post(
        f"{node.admin_url}/services", json=body, headers={"Origin": page}
    ) as answer:
        assert answer.status == 201
    foreign = {"Origin": "http://elsewhere.test"}
    async with cluster.session.get(f"{node.admin_url}/services", headers=foreign) as answer:
        assert answer.status == 403
