"""Debian's nginx as a process of the test's own, with deploy/nginx.conf in front of given nodes."""

import asyncio
import re
import socket
from collections.abc import Sequence
from pathlib import Path

from tests.deploy.images import nginx_command
from tests.deploy.network import ROOT
from tests.system.waiting import until

SAMPLE = ROOT / "deploy" / "nginx.conf"
HOST = "127.0.0.1"

MAIN = """
daemon off;
master_process off;
pid {folder}/nginx.pid;
error_log stderr;
events {{ worker_connections 4096; }}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    include {folder}/conf.d/*.conf;
}}
"""


class Balancer:
    """nginx on a free loopback port; all of its files are in ``folder``."""

    def __init__(
        self, folder: Path, port: int, node_ports: Sequence[int], *, keepalive: bool = False
    ) -> None:
        """With ``keepalive`` it keeps its connections to the nodes, which the sample doesn't."""
        self.port = port
        self._folder = folder
        self._process: asyncio.subprocess.Process | None = None
        (folder / "conf.d").mkdir(parents=True)
        (folder / "nginx.conf").write_text(MAIN.format(folder=folder))
        (folder / "conf.d" / "grapevine.conf").write_text(
            with_keepalive(sample(port, node_ports)) if keepalive else sample(port, node_ports)
        )

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self.port}"

    async def start(self) -> None:
        with (self._folder / "error.log").open("wb") as log:
            self._process = await asyncio.create_subprocess_exec(
                *(nginx_command(), "-p", str(self._folder), "-c", str(self._folder / "nginx.conf")),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

        async def listens() -> bool:
            _, writer = await asyncio.open_connection(HOST, self.port)
            writer.close()
            return True

        try:
            await until(listens, "nginx listens")
        except AssertionError as error:
            raise AssertionError(f"{error}:\n{self.errors()}") from None

    async def stop(self) -> None:
        if self._process is not None and self._process.returncode is None:
            self._process.terminate()
            await self._process.wait()

    def errors(self) -> str:
        """What nginx has complained of."""
        log = self._folder / "error.log"
        return log.read_text() if log.exists() else ""


def sample(port: int, node_ports: Sequence[int]) -> str:
    """deploy/nginx.conf with its example addresses replaced, and nothing else."""
    text = SAMPLE.read_text("utf-8")
    text, listeners = re.subn(r"listen 80;", f"listen {HOST}:{port};", text)
    assert listeners == 1
    server = re.compile(r"(?:^ *server 10\.0\.0\.\d+:8000(.*;\n))+", re.MULTILINE)
    ours = "".join(f"    server {HOST}:{port}\\1" for port in node_ports)
    text, upstreams = server.subn(ours, text)
    assert upstreams == 1
    return text


def with_keepalive(text: str) -> str:
    """The sample with connections to the nodes that are kept."""
    text = text.replace("upstream grapevine {", "upstream grapevine {\n    keepalive 32;")
    return text.replace(
        "proxy_pass http://grapevine;",
        "proxy_pass http://grapevine;\n        proxy_http_version 1.1;\n"
        '        proxy_set_header Connection "";',
    )


def free_port() -> int:
    """A loopback port that nothing listens on."""
    with socket.create_server((HOST, 0)) as probe:
        port: int = probe.getsockname()[1]
        return port
