"""The systemd unit and the logrotate sample."""

import configparser
import os
import shutil
import signal
import subprocess
from pathlib import Path

from node.config.derived import SYSTEM_PREFIX
from node.config.settings import keys
from tests.deploy.network import ROOT
from tests.system.conftest import StartCluster
from tests.system.waiting import until

UNIT = ROOT / "deploy" / "systemd" / "grapevine.service"
LOGROTATE = ROOT / "deploy" / "logrotate"


def service() -> configparser.SectionProxy:
    unit = configparser.ConfigParser(interpolation=None, strict=False)
    unit.optionxform = str  # type: ignore[assignment, method-assign]
    unit.read_string(UNIT.read_text("utf-8"))
    return unit["Service"]


def test_the_unit_runs_as_a_user_of_its_own_that_writes_to_the_prefix_only() -> None:
    unit = service()
    assert unit["User"] == unit["Group"] == "grapevine"
    assert unit["ProtectSystem"] == "strict"
    assert unit["ReadWritePaths"] == str(SYSTEM_PREFIX)
    assert unit["StateDirectory"] == SYSTEM_PREFIX.name
    assert unit["NoNewPrivileges"] == "yes"


def test_systemd_waits_longer_than_a_drain_may_take() -> None:
    [timeout] = [float(row.default or 0) for row in keys() if row.name == "shutdown_timeout"]
    assert float(service()["TimeoutStopSec"]) > timeout + 10
    assert service()["KillMode"] == "mixed", "TERM is for the supervisor, workers obey it"


async def test_a_rotation_loses_no_line_and_the_next_goes_to_the_new_file(
    start_cluster: StartCluster, tmp_path: Path
) -> None:
    cluster = await start_cluster(1, {"proxy_access_log": "logs/access.log"})
    [node] = cluster.nodes
    log = node.prefix / "logs" / "access.log"
    assert node.process is not None

    async def ask(path: str) -> None:
        async with cluster.session.get(node.proxy_url + path) as response:
            assert response.status == 404

    await ask("/before")
    await until_holds(log, "/before")
    rotate(tmp_path, node.prefix, node.process.pid)
    await until_holds(log, "")
    await ask("/after")
    await until_holds(log, "/after")
    assert "/before" in log.with_name("access.log.1").read_text()
    assert "/after" not in log.with_name("access.log.1").read_text()


async def until_holds(file: Path, text: str) -> None:
    async def held() -> bool:
        return holds(file, text)

    await until(held, f"{file} is there and holds {text!r}")


def holds(file: Path, text: str) -> bool:
    return text in file.read_text()


def rotate(folder: Path, prefix: Path, pid: int) -> None:
    """Run logrotate with the sample: its prefix, its user and the way to the process replaced."""
    program = shutil.which("logrotate", path=f"{os.environ['PATH']}{os.pathsep}/usr/sbin")
    assert program, "logrotate isn't installed; type: apt-get install logrotate"
    text = LOGROTATE.read_text("utf-8")
    for before, after in (
        (str(SYSTEM_PREFIX), str(prefix)),
        ("    su grapevine grapevine\n", ""),
        (
            "systemctl kill --kill-who=main --signal=USR1 grapevine.service",
            f"kill -{signal.SIGUSR1.value} {pid}",
        ),
    ):
        assert before in text
        text = text.replace(before, after)
    conf = folder / "logrotate.conf"
    conf.write_text(text)
    conf.chmod(0o644)
    command = [program, "--force", "--state", str(folder / "logrotate.state"), str(conf)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=20)
    assert done.returncode == 0, done.stderr
