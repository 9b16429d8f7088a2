"""First process of a machine: makes its file systems its own, then becomes the machine's command.

Started by tests/deploy/network.py as root of fresh mount, PID and UTS namespaces, with a ``Spec``
as its only argument.
"""

import json
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

PRIVATE = ("/etc", "/run", "/var/lib", "/var/log")
"""Folders that every machine has of its own; the first begins as a copy."""


@dataclass(frozen=True, slots=True)
class Spec:
    """A machine's own side of things."""

    hostname: str
    command: Sequence[str]
    user: str
    uid: int
    hosts: Mapping[str, str]
    """Address -> name, for /etc/hosts."""
    folders: Sequence[str] = ()
    """Made for the user."""
    links: Mapping[str, str] = field(default_factory=dict)
    """Name -> target: commands in /run/bin, which is first on PATH."""

    def encoded(self) -> str:
        return json.dumps(asdict(self))


def prepare(spec: Spec) -> None:
    """Mount what is private and write what is local; nothing of it is seen outside."""
    socket.sethostname(spec.hostname)
    # As container engines have it: port 80 needs no privilege.
    Path("/proc/sys/net/ipv4/ip_unprivileged_port_start").write_text("0")
    scratch = Path("/run")
    _mount_tmpfs(scratch)
    shutil.copytree("/etc", scratch / "etc", symlinks=True, ignore=_unreadable)
    for folder in PRIVATE:
        if folder != "/run":
            _mount_tmpfs(Path(folder))
    shutil.copytree(scratch / "etc", "/etc", symlinks=True, dirs_exist_ok=True)
    shutil.rmtree(scratch / "etc")
    hosts = {"127.0.0.1": "localhost", **spec.hosts}
    Path("/etc/hosts").write_text("".join(f"{a} {name}\n" for a, name in hosts.items()))
    passwd = Path("/etc/passwd")
    others = passwd.read_bytes()  # behind ours: one of this machine's may have the number
    own = f"{spec.user}:x:{spec.uid}:{spec.uid}::/run/home:/bin/sh\n"
    passwd.write_bytes(own.encode() + others)
    for made in ("/run/home", "/run/bin", "/run/postgresql", *spec.folders):
        Path(made).mkdir(parents=True, exist_ok=True)
    for link, target in spec.links.items():
        Path("/run/bin", link).symlink_to(target)


def _mount_tmpfs(folder: Path) -> None:
    options = ("-o", "size=512m,mode=755")
    subprocess.run(["mount", "-t", "tmpfs", *options, "tmpfs", str(folder)], check=True)


def _unreadable(folder: str, names: Iterable[str]) -> list[str]:
    """Entries that this user may not read, or that are no files (sockets, devices)."""
    paths = ((name, Path(folder, name)) for name in names)
    return [
        name
        for name, path in paths
        if not path.is_symlink()
        and (not os.access(path, os.R_OK) or not (path.is_file() or path.is_dir()))
    ]


def main() -> None:
    spec = Spec(**json.loads(sys.argv[1]))
    prepare(spec)
    environment = {**os.environ, "HOME": "/run/home", "USER": spec.user}
    # The user is this one under another number: it may read the checkout, but is not root.
    mapping = (f"--map-user={spec.uid}", f"--map-group={spec.uid}")
    os.chdir("/")
    os.execvpe("unshare", ["unshare", "--user", *mapping, "--", *spec.command], environment)


if __name__ == "__main__":
    main()
