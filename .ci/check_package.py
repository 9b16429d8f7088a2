"""Checks the package as a user gets it: built, installed in a clean environment, and run there.

Builds the source distribution and from it the wheel, installs the wheel with the locked run-time
packages and nothing else, runs `grapevine version`, then a demo of three nodes: its sample route
must answer through the last node, and SIGINT must end it with no process left. Exits 1 with the
reason.
"""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
NODES = 3
READY_SECONDS = 60.0
STOP_SECONDS = 30.0
POLL_SECONDS = 0.1


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="grapevine package ") as folder:
        work = Path(folder)
        wheel = build_wheel(work / "dist")
        grapevine = install(wheel, work / "environment")
        run([grapevine, "version"], cwd=work)
        check_demo(grapevine, work)
    print("package: built, installed and run")


def build_wheel(out: Path) -> Path:
    """Build sdist and wheel (with the locked back-end of this environment); returns the wheel."""
    run([sys.executable, "-m", "build", "--no-isolation", "--outdir", out, ROOT], cwd=ROOT)
    [wheel] = out.glob("*.whl")
    return wheel


def install(wheel: Path, environment: Path) -> Path:
    """Install the wheel in a new environment with the locked packages; returns its command."""
    run([sys.executable, "-m", "venv", environment], cwd=ROOT)
    pip: list[str | Path] = [environment / "bin" / "python", "-I", "-m", "pip"]
    add: list[str | Path] = [*pip, "install", "--quiet"]
    lock = ROOT / "requirements" / "runtime.lock"
    run([*add, "--require-hashes", "--only-binary", ":all:", "--requirement", lock], cwd=ROOT)
    run([*add, "--no-deps", "--no-index", wheel], cwd=ROOT)
    run([*pip, "check"], cwd=ROOT)
    return environment / "bin" / "grapevine"


def run(command: list[str | Path], cwd: Path) -> None:
    """Run a step; its output is shown only when it fails."""
    print("package:", *command, flush=True)
    done = subprocess.run(
        command, cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    if done.returncode != 0:
        sys.exit(f"{done.stdout}package: {command[0]} ended with {done.returncode}")


def check_demo(grapevine: Path, work: Path) -> None:
    """Run the demo outside of the checkout, use it as its user would, and interrupt it."""
    base = free_base()
    command: list[str | Path] = [grapevine, "demo", "--nodes", str(NODES), "--base-port", str(base)]
    log = work / "demo.log"
    print("package:", *command, flush=True)
    with log.open("w") as output:
        demo = subprocess.Popen(
            command, cwd=work, stdout=output, stderr=subprocess.STDOUT, start_new_session=True
        )
    try:
        await_sample_route(demo, base)
        demo.send_signal(signal.SIGINT)
        status = demo.wait(STOP_SECONDS)
        if status != 0:
            raise AssertionError(f"SIGINT ended it with {status}")
        if group_lives(demo.pid):
            raise AssertionError("a process outlived it")
    except (AssertionError, subprocess.TimeoutExpired) as error:
        sys.exit(f"{log.read_text()}package: demo: {error}")
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(demo.pid, signal.SIGKILL)
        demo.wait()


def await_sample_route(demo: subprocess.Popen[bytes], base: int) -> None:
    """Return once the sample route answers 200 through the last node.

    :param base: node i's proxy is at `base` + 100·(i-1), its Admin API one port higher.
    :raises AssertionError: when the demo ends, or that takes more than `READY_SECONDS`.
    """
    last_proxy = base + 100 * (NODES - 1)
    deadline = time.monotonic() + READY_SECONDS
    reason = "nothing answered"
    while time.monotonic() < deadline:
        if demo.poll() is not None:
            raise AssertionError(f"it ended by itself with {demo.returncode}")
        try:
            [route] = get_json(f"http://127.0.0.1:{base + 1}/routes")["data"]
            url = f"http://127.0.0.1:{last_proxy}{route['paths'][0]}"
            with urllib.request.urlopen(url, timeout=5) as answer:
                print("package:", url, "answered", answer.status)
                return
        except (OSError, ValueError, urllib.error.HTTPError) as error:
            reason = str(error)
            time.sleep(POLL_SECONDS)
    raise AssertionError(f"no answer through node {NODES} in {READY_SECONDS:.0f} s: {reason}")


def get_json(url: str) -> Any:
    with urllib.request.urlopen(url, timeout=5) as answer:
        return json.load(answer)


def free_base() -> int:
    """A base whose ports are free for every node, away from the demo's own default."""
    offsets = [100 * node + port for node in range(NODES) for port in (0, 1, 5, 7)]
    for base in range(38000, 48000, 1000):
        with contextlib.ExitStack() as held:
            try:
                for offset in offsets:
                    sock = held.enter_context(socket.socket())
                    sock.bind(("127.0.0.1", base + offset))
            except OSError:
                continue
            return base
    sys.exit("package: no free ports between 38000 and 48000")


def group_lives(group: int) -> bool:
    """Whether any process of the demo's session is left."""
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


if __name__ == "__main__":
    main()
