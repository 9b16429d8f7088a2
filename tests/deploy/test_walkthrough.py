"""docs/walkthrough.md, done word for word on machines of the page's names and addresses."""

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.deploy import guide
from tests.deploy.container import Spec
from tests.deploy.images import (
    GRAPEVINE_PREFIX,
    POSTGRES_DATA,
    POSTGRES_START,
    POSTGRES_UID,
    grapevine_commands,
    nginx_command,
    postgres_commands,
)
from tests.deploy.network import ROOT, Network
from tests.deploy.shell import Shell
from tests.system.waiting import until

PAGE = ROOT / "docs" / "walkthrough.md"
PREFIX = "10.0.0"
ADDRESSES = {"lb": 5, "db": 10, "gw1": 11, "gw2": 12, "gw3": 13, "app": 20, "client": 99}
"""The last byte of each machine's address, as the page's first table has them."""
OPERATOR_UID = 1000
NGINX_FOLDERS = ("/var/lib/nginx", "/var/log/nginx")
NODES = ("gw1", "gw2", "gw3")
ERROR_LOG = f"{GRAPEVINE_PREFIX}/logs/error.log"
ASK_OFTEN = "for each in $(seq 12); do curl -sSf -H 'X-Real-IP: 6.6.6.6' {url} || exit; echo; done"

NOTE_NGINX_WORKERS = "pgrep -f 'nginx: worker process' >/run/home/old-workers"
UNTIL_THEY_ENDED = """
for pid in $(cat /run/home/old-workers); do
    while kill -0 $pid 2>/dev/null; do sleep 0.05; done
done
"""
"""For 0.1 s after a reload nginx's old workers take connections beside the new ones, and answer by
the old file."""

KEEP_ASKING = """
while [ ! -e /run/home/enough ]; do
    curl -sSf http://10.0.0.5/example >/dev/null && echo answered || echo failed
done >/run/home/asked 2>&1 &
"""

APP = """
import http.server

class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        answer = "\\n".join(f"{name}: {value}" for name, value in self.headers.items()).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

http.server.ThreadingHTTPServer(("", 9000), Handler).serve_forever()
"""

Shells = Mapping[str, Shell]


@contextmanager
def machines(folder: Path) -> Iterator[Shells]:
    """The page's machines with what it takes for granted: Postgres, nginx and a web server run."""
    links = {
        **{name: grapevine_commands() for name in NODES},
        "db": postgres_commands(),
        "lb": {"nginx": nginx_command()},
    }
    folders = {
        **dict.fromkeys(NODES, (GRAPEVINE_PREFIX,)),
        "db": (POSTGRES_DATA,),
        "lb": NGINX_FOLDERS,
    }
    with Network(folder, PREFIX) as network:
        shells: dict[str, Shell] = {}
        for name, last_byte in ADDRESSES.items():
            machine = network.add(name, last_byte)
            user, uid = ("postgres", POSTGRES_UID) if name == "db" else ("operator", OPERATOR_UID)
            hosts = {machine.address: name}
            spec = Spec(name, ("sh",), user, uid, hosts, folders.get(name, ()), links.get(name, {}))
            shells[name] = Shell(machine, spec, {})
        try:
            prepare(shells)
            yield shells
        except BaseException:
            for name in NODES:
                shells[name].machine.execute("tail", "-n", "20", ERROR_LOG)
                print(f"--- {name}\n{shells[name].machine.output()}")
            raise
        finally:
            for shell in shells.values():
                shell.close()


def prepare(shells: Shells) -> None:
    """What the page's first table says is there."""
    for shell in shells.values():
        # On a terminal, curl shows the answer in place of its progress.
        write(shell, "/run/home/.curlrc", "no-progress-meter\n")
    variables = {
        "PGDATA": POSTGRES_DATA,
        "POSTGRES_USER": "postgres",
        "POSTGRES_PASSWORD": "not-used-here",
        "POSTGRES_DB": "postgres",
    }
    exported = "".join(f"export {name}={value}\n" for name, value in variables.items())
    write(shells["db"], "/run/home/start", exported + POSTGRES_START)
    shells["db"].type("sh /run/home/start >/var/log/postgres.log 2>&1 &")
    shells["db"].type("until pg_isready --quiet; do sleep 0.1; done")
    write(shells["app"], "/run/home/app.py", APP)
    shells["app"].type(f"{sys.executable} /run/home/app.py >/var/log/app.log 2>&1 &")
    shells["lb"].type("nginx")


def write(shell: Shell, path: str, text: str) -> None:
    folder = path.rpartition("/")[0]
    shell.type(f"mkdir -p {folder}\ncat >{path} <<'THE-END'\n{text}THE-END")


@pytest.mark.long
async def test_the_pages_steps_lead_where_it_says(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    steps = guide.read(PAGE)
    assert len(steps) > 10
    with machines(tmp_path) as shells:
        for step in steps:
            if isinstance(step, guide.File):
                write(shells[step.machine], step.path, step.text)
                continue
            if "grapevine reload" in step.text:
                shells["client"].type(KEEP_ASKING)
            if "grapevine stop" in step.text:
                check_no_request_failed(shells)
                check_the_client_is_seen(shells)
            reloads_nginx = "nginx -s reload" in step.text
            if reloads_nginx:
                shells["lb"].type(NOTE_NGINX_WORKERS)
            for name in step.machines:
                await run(shells[name], step)
            if reloads_nginx:
                shells["lb"].type(UNTIL_THEY_ENDED)


async def run(shell: Shell, step: guide.Commands) -> None:
    """Type a step's commands; a question may be asked again, since nodes learn in moments."""
    output = shell.type(step.text)
    if guide.is_as_told(output, step.prints) or not step.prints:
        return
    said = [output]

    async def as_told() -> bool:
        said.append(shell.type(step.text))
        return guide.is_as_told(said[-1], step.prints)

    assert step.text.startswith(("curl -i http://10.0.0.5", "grapevine cluster members")), (
        f"{shell.machine.name}: {step.text}\nprints\n{output}\nnot\n{step.prints}"
    )
    try:
        await until(as_told, f"{step.text} prints what the page says")
    except AssertionError as error:
        raise AssertionError(f"{error}:\n{said[-1]}\nnot\n{step.prints}") from None


def check_no_request_failed(shells: Shells) -> None:
    """Neither reloads nor the restart were noticed by a client that asked all the time."""
    output = shells["client"].type("touch /run/home/enough; cat /run/home/asked")
    assert set(output.split()) == {"answered"}, output
    assert len(output.split()) > 20


def check_the_client_is_seen(shells: Shells) -> None:
    """Through every node the web server gets the client's address, and not the one it claims."""
    output = shells["client"].type(ASK_OFTEN.format(url="http://10.0.0.5/example"))
    assert output.count("X-Real-IP: 10.0.0.99") == 12, output
    assert "6.6.6.6" not in output


def test_the_page_shows_the_sample_that_we_ship() -> None:
    [shown] = [
        step.text
        for step in guide.read(PAGE)
        if isinstance(step, guide.File) and step.machine == "lb"
    ]
    shipped = (ROOT / "deploy" / "nginx.conf").read_text("utf-8")
    assert shipped.endswith("\n\n" + shown)


def test_the_nodes_files_differ_in_nothing_but_the_address_they_advertise() -> None:
    files = [
        step.text.splitlines()
        for step in guide.read(PAGE)
        if isinstance(step, guide.File) and step.machine in NODES
    ]
    assert len(files) == len(NODES)
    assert len({tuple(lines[:-1]) for lines in files}) == 1
    keys = [line.partition(" = ")[0] for line in files[0]]
    assert keys[0] == "database"
    assert keys[-2:] == ["cluster_listen", "cluster_advertise"]
    assert all(key.startswith("pg_") for key in keys[1:-2])
