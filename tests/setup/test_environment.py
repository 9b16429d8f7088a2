"""What deploy/setup builds: complete or not there, once, and fast to find up to date."""

import contextlib
import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.rings import first_few, processor_seconds
from tests.setup.checkout import Checkout, finish


@pytest.fixture
def wheels(checkout: Checkout, tmp_path: Path) -> dict[str, str]:
    """Makes an install take seconds and no network; the variables to run setup with."""
    checkout.add_real_python()
    return checkout.use_tiny_lock(tmp_path / "wheels")


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    """A checkout with an environment that several tests look at, which takes seconds to build."""
    folder = tmp_path_factory.mktemp("built")
    checkout = Checkout(folder / "my clone of it", folder / "bin")
    checkout.add_real_python()
    outcome = checkout.setup(**checkout.use_tiny_lock(folder / "wheels"))
    assert outcome.status == 0, outcome.said
    return checkout


def output_of(*command: str | Path) -> str:
    run = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert run.returncode == 0, run.stderr
    return run.stdout


@pytest.mark.long
@pytest.mark.timeout(300)
def test_a_full_install_runs_the_gateway_and_holds_no_tools(checkout: Checkout) -> None:
    """The one test here that takes the real lock, and so a network (or pip's cache of it)."""
    checkout.add_real_python()
    mirror = {name: value for name, value in os.environ.items() if name.startswith("PIP_")}
    outcome = checkout.setup(**{**mirror, **home(), "PIP_CONFIG_FILE": pip_configuration()})
    assert outcome.status == 0, outcome.said
    assert "grapevine" in output_of(checkout.venv / "bin" / "grapevine", "version")
    pip: list[str | Path] = [checkout.venv / "bin" / "python", "-m", "pip"]
    installed = {line.partition("==")[0] for line in output_of(*pip, "freeze", "--all").split()}
    assert {"aiohttp", "uvloop", "pip"} <= installed
    assert not {"pytest", "mypy", "ruff"} & installed
    output_of(*pip, "check")


def home() -> dict[str, str]:
    """pip's cache and settings are found by HOME; without it everything is fetched again."""
    return {"HOME": os.environ["HOME"]} if "HOME" in os.environ else {}


def pip_configuration() -> str:
    return os.environ.get("PIP_CONFIG_FILE", "")


def test_the_moved_environment_names_its_final_place(built: Checkout) -> None:
    assert output_of(built.venv / "bin" / "tiny") == "tiny runs\n"
    assert ".venv.new" not in built.files()
    scripts = [path for path in (built.venv / "bin").iterdir() if not path.is_symlink()]
    assert built.venv / "bin" / "grapevine" in scripts
    for path in [*scripts, built.venv / "pyvenv.cfg"]:
        assert b".venv.new" not in path.read_bytes(), path


@pytest.mark.long
def test_the_checkout_is_importable_from_anywhere(
    checkout: Checkout, wheels: dict[str, str], tmp_path: Path
) -> None:
    assert checkout.setup(**wheels).status == 0
    code = (
        "import gossip, importlib.metadata as m; "
        "print(gossip.__file__, m.version('grapevine-gateway'))"
    )
    run = subprocess.run(
        [checkout.venv / "bin" / "python", "-I", "-c", code],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        check=True,
        timeout=60,
    )
    assert run.stdout.startswith(str(checkout.root / "gossip" / "__init__.py"))


def test_an_up_to_date_environment_is_found_at_once_without_pip_or_path(built: Checkout) -> None:
    made = built.venv.stat().st_ctime_ns
    (built.bin / "python3").unlink()
    seconds, used = [], []
    for _ in range(5):
        begin, before = time.monotonic(), processor_seconds()
        outcome = built.setup()
        seconds.append(time.monotonic() - begin)
        used.append(processor_seconds() - before)
        assert (outcome.status, outcome.said) == (0, "")
    assert built.venv.stat().st_ctime_ns == made
    assert min(used) < 0.2
    assert min(seconds) < 1.0, "it waits for nothing; others' load may slow it down"


@pytest.mark.long
@pytest.mark.parametrize("file", ["requirements/runtime.lock", "pyproject.toml"])
def test_a_changed_dependency_builds_it_anew(
    checkout: Checkout, wheels: dict[str, str], file: str
) -> None:
    assert checkout.setup(**wheels).status == 0
    made = checkout.venv.stat().st_ino
    with (checkout.root / file).open("a") as stream:
        stream.write("# changed\n")
    assert "building .venv" in checkout.setup(**wheels).said
    assert checkout.venv.stat().st_ino != made
    assert not {".venv.old", ".venv.new"} & checkout.files()


@pytest.mark.long
def test_a_moved_checkout_builds_it_anew(
    checkout: Checkout, wheels: dict[str, str], tmp_path: Path
) -> None:
    """Its scripts name the old place, which may even be another checkout by now."""
    assert checkout.setup(**wheels).status == 0
    checkout.root = checkout.root.rename(tmp_path / "elsewhere")
    assert "building .venv" in checkout.setup(**wheels).said
    assert output_of(tmp_path / "elsewhere" / ".venv" / "bin" / "tiny") == "tiny runs\n"


@pytest.mark.long
def test_what_a_killed_setup_left_is_cleared_away(
    checkout: Checkout, wheels: dict[str, str]
) -> None:
    (checkout.root / ".venv.new" / "bin").mkdir(parents=True)
    (checkout.root / ".venv.new" / "half").touch()
    assert checkout.setup(**wheels).status == 0
    assert not (checkout.venv / "half").exists()
    assert ".venv.new" not in checkout.files()


@pytest.mark.long
def test_two_setups_at_once_build_it_once(checkout: Checkout, wheels: dict[str, str]) -> None:
    first, second = checkout.start(**wheels), checkout.start(**wheels)
    outcomes = [finish(first), finish(second)]
    assert [outcome.status for outcome in outcomes] == [0, 0]
    said = "".join(outcome.said for outcome in outcomes)
    assert said.count("building .venv") == 1
    assert output_of(checkout.venv / "bin" / "tiny") == "tiny runs\n"


@pytest.fixture
def interrupts_ignored() -> Iterator[None]:
    """As in all that a shell script starts in the background (POSIX, Shell Command Language, 2.11),
    the tests themselves included."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("interrupts_ignored")
@pytest.mark.parametrize("signum", first_few([signal.SIGINT, signal.SIGTERM]))
def test_a_setup_interrupted_while_pip_runs_leaves_nothing(
    checkout: Checkout, signum: signal.Signals
) -> None:
    checkout.add_real_python()
    before = checkout.files()
    with socket.create_server(("127.0.0.1", 0)) as index:
        index.settimeout(60)
        process = checkout.start(PIP_INDEX_URL=index_url(index), PIP_NO_CACHE_DIR="1")
        pip, _ = index.accept()  # pip has begun, and waits for an answer that never comes
        with pip:
            process.send_signal(signum)
            assert finish(process).status == 128 + signum
            assert checkout.files() == before
            read_to_end(pip)


def read_to_end(connection: socket.socket) -> None:
    """Returns once the other end is closed, which a process that lived on would not do."""
    connection.settimeout(10)
    with contextlib.suppress(ConnectionResetError):
        while connection.recv(65536):
            continue


@pytest.mark.long
def test_an_interrupted_rebuild_keeps_the_environment_that_was_there(
    checkout: Checkout, wheels: dict[str, str]
) -> None:
    assert checkout.setup(**wheels).status == 0
    (checkout.root / "requirements" / "runtime.lock").write_text("absent==1 --hash=sha256:00\n")
    assert checkout.setup(**wheels).status == 1
    assert output_of(checkout.venv / "bin" / "tiny") == "tiny runs\n"
    assert not {".venv.old", ".venv.new"} & checkout.files()


@pytest.mark.long
def test_without_a_network_it_says_so_and_leaves_nothing(checkout: Checkout) -> None:
    checkout.add_real_python()
    before = checkout.files()
    with socket.socket() as closed:  # bound but not listening: connections are refused
        closed.bind(("127.0.0.1", 0))
        outcome = checkout.setup(
            PIP_INDEX_URL=index_url(closed), PIP_RETRIES="1", PIP_NO_CACHE_DIR="1"
        )
    assert outcome.status == 1
    assert "the package index can not be reached" in outcome.said
    assert checkout.files() == before


@pytest.mark.long
def test_a_package_that_is_not_the_locked_one_is_refused(
    checkout: Checkout, wheels: dict[str, str]
) -> None:
    lock = checkout.root / "requirements" / "runtime.lock"
    lock.write_text(f"tiny==1.0 --hash=sha256:{'0' * 64}\n")
    outcome = checkout.setup(**wheels)
    assert outcome.status == 1
    assert "a package is not the one that the lock names" in outcome.said
    assert not checkout.venv.exists()


@pytest.mark.long
def test_the_tools_are_added_to_the_same_environment(
    checkout: Checkout, wheels: dict[str, str]
) -> None:
    assert checkout.setup(**wheels).status == 0
    made = checkout.venv.stat().st_ino
    lock = (checkout.root / "requirements" / "runtime.lock").read_text()
    (checkout.root / "requirements" / "dev.lock").write_text(lock)
    assert "adding the tools" in checkout.setup("--dev", **wheels).said
    assert checkout.setup("--dev").said == ""
    assert checkout.venv.stat().st_ino == made
    assert "tmp" not in os.listdir(checkout.venv)


def index_url(server: socket.socket) -> str:
    host, port = server.getsockname()
    return f"http://{host}:{port}/simple"
