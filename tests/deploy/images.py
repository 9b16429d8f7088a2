"""The images of deploy/docker-compose.yml, mapped to what this machine has installed.

Each becomes the ``Spec`` of a machine: the image's user, its folders, its entry point.
"""

import os
import re
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path

from tests.deploy.compose import Service
from tests.deploy.container import Spec
from tests.deploy.network import ROOT

GRAPEVINE_PREFIX = "/var/lib/grapevine"
POSTGRES_DATA = "/var/lib/postgresql/data"
POSTGRES_UID = 999
DOCKERFILE = ROOT / "deploy" / "Dockerfile"
ENTRYPOINT = ROOT / "deploy" / "docker" / "entrypoint"

POSTGRES_START = """
set -eu
printf %s "$POSTGRES_PASSWORD" >/run/home/password
initdb --username="$POSTGRES_USER" --pwfile=/run/home/password --auth-local=trust \\
    --auth-host=scram-sha-256 --no-sync >/run/home/initdb.log
echo "host all all all scram-sha-256" >>"$PGDATA/pg_hba.conf"
[ "$POSTGRES_DB" = postgres ] ||
    echo "CREATE DATABASE \\"$POSTGRES_DB\\"" | postgres --single -j postgres >/dev/null
exec postgres -c listen_addresses='*' -c unix_socket_directories=/run/postgresql -c fsync=off
"""
"""What the postgres image's entry point does on an empty volume, with its variables."""


def image_spec(service: Service, hosts: Mapping[str, str]) -> Spec:
    """How the machine of a service begins. Raises ValueError for an image that isn't known."""
    name = service.image.partition(":")[0]
    if name == "postgres":
        return postgres(service.name, hosts)
    if name == "grapevine":
        return grapevine(service, hosts)
    raise ValueError(f"service {service.name}: image: {service.image!r} has no local counterpart")


def postgres(hostname: str, hosts: Mapping[str, str]) -> Spec:
    """The postgres image: Debian's server, run by a user of its own (it refuses root)."""
    return Spec(
        hostname,
        ("sh", "-c", f"export PGDATA={POSTGRES_DATA}\n{POSTGRES_START}"),
        user="postgres",
        uid=POSTGRES_UID,
        hosts=hosts,
        folders=(POSTGRES_DATA,),
        links=postgres_commands(),
    )


def grapevine(service: Service, hosts: Mapping[str, str]) -> Spec:
    """The image of deploy/Dockerfile: its entry point, its default command, its user."""
    return Spec(
        service.name,
        (str(ENTRYPOINT), *(service.command or default_command())),
        user="grapevine",
        uid=grapevine_uid(),
        hosts=hosts,
        folders=(GRAPEVINE_PREFIX,),
        links=grapevine_commands(),
    )


def grapevine_commands() -> dict[str, str]:
    """The commands that the image has on its PATH."""
    return {"grapevine": str(grapevine_command()), "kong": str(ENTRYPOINT)}


def grapevine_command() -> Path:
    """This checkout's ``grapevine``."""
    return Path(sys.executable).with_name("grapevine")


def postgres_commands() -> dict[str, str]:
    """Debian's Postgres programs of the newest version, which aren't on PATH."""
    folders = Path("/usr/lib/postgresql").glob("*/bin")
    newest = max(folders, key=lambda folder: int(folder.parent.name), default=None)
    assert newest is not None, "Postgres isn't installed; type: apt-get install postgresql"
    return {program.name: str(program) for program in newest.iterdir()}


def default_command() -> list[str]:
    """The Dockerfile's CMD."""
    return list(re.findall(r'"([^"]*)"', dockerfile_line("CMD")))


def grapevine_uid() -> int:
    """The number of the user that the Dockerfile makes and takes."""
    found = re.search(r"--uid (\d+)", DOCKERFILE.read_text("utf-8"))
    assert found, f"{DOCKERFILE}: makes no user with a number of its own"
    return int(found[1])


def dockerfile_line(instruction: str) -> str:
    """The last line of an instruction in the Dockerfile, without its name."""
    lines = re.findall(rf"^{instruction} (.*)$", DOCKERFILE.read_text("utf-8"), re.MULTILINE)
    assert lines, f"{DOCKERFILE}: has no {instruction}"
    return str(lines[-1])


def nginx_command() -> str:
    """Debian's nginx, which isn't on every user's PATH."""
    path = os.pathsep.join((os.environ.get("PATH", os.defpath), "/usr/sbin"))
    found = shutil.which("nginx", path=path)
    assert found, "nginx isn't installed; type: apt-get install nginx-light"
    return found
