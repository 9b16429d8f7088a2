"""deploy/Dockerfile and the image's entry point, as far as that goes without an engine."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.deploy.images import DOCKERFILE, ENTRYPOINT, default_command, dockerfile_line
from tests.deploy.network import ROOT

SHOW_ARGUMENTS = '#!/bin/sh\necho "grapevine $*"\n'
IMPORT_ALL = """
import importlib, pkgutil, sys
import gossip, node, store
for package in (gossip, node, store):
    assert package.__file__.startswith(sys.argv[1]), package.__file__
    for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
import node.cli
node.cli.main(["version"])
"""


def copied() -> list[str]:
    """What the Dockerfile takes from the checkout."""
    lines = re.findall(r"^COPY (?!--from)(.*)$", DOCKERFILE.read_text("utf-8"), re.MULTILINE)
    return [source for line in lines for source in line.split()[:-1]]


def test_what_the_image_copies_is_enough_to_run(tmp_path: Path) -> None:
    for source in copied():
        target = tmp_path / source
        target.parent.mkdir(parents=True, exist_ok=True)
        if (ROOT / source).is_dir():
            shutil.copytree(ROOT / source, target, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(ROOT / source, target)
    done = subprocess.run(
        [sys.executable, "-P", "-c", IMPORT_ALL, str(tmp_path)],
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(tmp_path)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("grapevine ")


def test_the_build_context_holds_what_is_copied_and_nothing_else() -> None:
    ignore = (ROOT / "deploy" / "Dockerfile.dockerignore").read_text("utf-8").splitlines()
    assert "*" in ignore
    assert sorted(line[1:] for line in ignore if line.startswith("!")) == sorted(copied())


def test_the_image_runs_a_node_as_a_user_who_is_not_root() -> None:
    user = dockerfile_line("USER")
    assert user not in ("root", "0")
    assert f"--owner {user} " in DOCKERFILE.read_text("utf-8"), "the prefix is the user's"
    assert default_command() == ["kong", "docker-start"]
    assert ENTRYPOINT.stat().st_mode & 0o111 == 0o111


@pytest.mark.parametrize(
    ("arguments", "runs"),
    [
        ((), "grapevine run"),
        (("kong", "docker-start"), "grapevine run"),
        (("kong", "start"), "grapevine run"),
        (("grapevine", "start", "-c", "/a b.conf"), "grapevine run -c /a b.conf"),
        (("grapevine", "run", "--v"), "grapevine run --v"),
        (("-c", "/kong.conf"), "grapevine run -c /kong.conf"),
        (("kong", "migrations", "bootstrap"), "grapevine migrations bootstrap"),
        (("kong", "reload"), "grapevine reload"),
        (("kong",), "grapevine"),
        (("sh", "-c", "echo a shell"), "a shell"),
    ],
)
def test_the_entry_point_takes_kongs_words_and_ours(
    tmp_path: Path, arguments: tuple[str, ...], runs: str
) -> None:
    assert entrypoint(tmp_path, str(ENTRYPOINT), *arguments) == runs


def test_kong_is_a_command_for_exec_too(tmp_path: Path) -> None:
    (tmp_path / "kong").symlink_to(ENTRYPOINT)
    assert entrypoint(tmp_path, str(tmp_path / "kong"), "health") == "grapevine health"


def entrypoint(folder: Path, *command: str) -> str:
    """What an entry point runs, on a PATH where ``grapevine`` shows its arguments."""
    grapevine = folder / "grapevine"
    grapevine.write_text(SHOW_ARGUMENTS)
    grapevine.chmod(0o755)
    path = f"{folder}{os.pathsep}{os.defpath}"
    done = subprocess.run(
        command, env={"PATH": path}, capture_output=True, text=True, check=True, timeout=10
    )
    return done.stdout.strip()
