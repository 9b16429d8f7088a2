"""A copy of this checkout in a folder of its own, and a world so bare that only it is tested.

`deploy/setup` runs with an empty environment and a PATH of links to the few tools it is allowed to
need, plus the interpreters that a test puts there.
"""

import base64
import hashlib
import os
import shutil
import signal
import subprocess
import sys
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

# Everything that deploy/setup may count on besides Python; all of it is in POSIX.
TOOLS = (
    "cat",
    "cmp",
    "dirname",
    "grep",
    "mkdir",
    "mv",
    "printf",
    "rm",
    "sh",
    "sleep",
    "tail",
    "tr",
    "uname",
)

# Where a real interpreter of the running version is, even if the tests run in an environment.
REAL_PYTHON = os.path.realpath(sys.executable)

DEADLINE_SECONDS = 90.0

# An interpreter that is not on this machine, played by the real one: it runs `-c CODE` after a
# preamble that changes what CODE sees, and fails at everything else.
PLAYED_PYTHON = """\
#!/bin/sh
while [ "$1" != -c ]; do shift || exit 9; done
shift
exec '{real}' -I -c '
import sys
code = sys.argv.pop(1)
sys.executable = "{self}"
{preamble}
exec(code)' "$@"
"""


@dataclass(frozen=True)
class Outcome:
    """How a run of `deploy/setup` ended."""

    status: int
    said: str


class Checkout:
    """A copy of the working tree at `root`, with `bin` as the only folder on PATH."""

    def __init__(self, root: Path, bin_folder: Path) -> None:
        self.root = root
        self.bin = bin_folder
        self.venv = root / ".venv"
        shutil.copytree(ROOT, root, ignore=ignore_what_git_ignores)
        bin_folder.mkdir()
        for tool in TOOLS:
            path = shutil.which(tool)
            assert path, f"{tool} is not on this machine"
            (bin_folder / tool).symlink_to(path)

    def add_real_python(self, name: str = "python3") -> None:
        """Put the interpreter that runs the tests on PATH: a script, so that it knows its home."""
        self._add_script(name, f"#!/bin/sh\nexec '{REAL_PYTHON}' \"$@\"\n")

    def add_played_python(
        self, name: str, *, version: tuple[int, int] | None = None, without: Sequence[str] = ()
    ) -> Path:
        """Put an interpreter on PATH that is another version or lacks modules; returns its path."""
        preamble = [f"sys.modules[{module!r}] = None" for module in without]
        if version is not None:
            preamble.append(f"sys.version_info = {(*version, 0)!r}")
        text = "\n".join(preamble).replace("'", '"')
        content = PLAYED_PYTHON.format(real=REAL_PYTHON, self=self.bin / name, preamble=text)
        return self._add_script(name, content)

    def add_dead_shim(self, name: str) -> None:
        """Put a command on PATH that is there but can't run, as pyenv leaves them."""
        self._add_script(name, "#!/bin/sh\nexit 127\n")

    def start(
        self, *arguments: str, shell: Sequence[str] = (), **variables: str
    ) -> subprocess.Popen[str]:
        """Start `deploy/setup`; `variables` are all of its environment besides PATH.

        It obeys interrupts as one typed at a terminal does, even if the tests run in the
        background, where they are ignored: a shell can't trap what was ignored when it began.
        """
        return subprocess.Popen(
            [*shell, str(self.root / "deploy" / "setup"), *arguments],
            env={"PATH": str(self.bin), "PIP_CONFIG_FILE": os.devnull, **variables},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )

    def setup(self, *arguments: str, shell: Sequence[str] = (), **variables: str) -> Outcome:
        """Run `deploy/setup` to its end."""
        return finish(self.start(*arguments, shell=shell, **variables))

    def files(self) -> set[str]:
        """Names at the top of the checkout: whatever was left behind would show here."""
        return set(os.listdir(self.root))

    def use_tiny_lock(self, wheels: Path) -> dict[str, str]:
        """Lock one tiny package in place of the real ones, so that an install takes no network.

        :returns: the variables that make pip find it in `wheels`, which is created.
        """
        wheels.mkdir()
        wheel = write_tiny_wheel(wheels)
        digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
        lock = self.root / "requirements" / "runtime.lock"
        lock.write_text(f"tiny==1.0 --hash=sha256:{digest}\n")
        return {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": wheels.as_uri(), "PIP_NO_CACHE_DIR": "1"}

    def _add_script(self, name: str, content: str) -> Path:
        script = self.bin / name
        script.write_text(content)
        script.chmod(0o755)
        return script


def finish(process: subprocess.Popen[str]) -> Outcome:
    """Wait for a run that `Checkout.start` began."""
    with process:
        try:
            _, said = process.communicate(timeout=DEADLINE_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            raise
    return Outcome(process.returncode, said)


def ignore_what_git_ignores(_folder: str, names: list[str]) -> set[str]:
    """Leave out environments, caches and the history: a clone has none but the last."""
    caches = {".git", ".hypothesis", "__pycache__", "dist", "build"}
    return {
        name
        for name in names
        if name in caches or name.startswith(".venv") or name.endswith("_cache")
    }


def write_tiny_wheel(folder: Path) -> Path:
    """A wheel of one module and one console script, both named `tiny`."""
    wheel = folder / "tiny-1.0-py3-none-any.whl"
    wheel_kind = "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    files = {
        "tiny.py": "def main() -> None:\n    print('tiny runs')\n",
        "tiny-1.0.dist-info/METADATA": "Metadata-Version: 2.1\nName: tiny\nVersion: 1.0\n",
        "tiny-1.0.dist-info/WHEEL": wheel_kind,
        "tiny-1.0.dist-info/entry_points.txt": "[console_scripts]\ntiny = tiny:main\n",
    }
    record = "".join(f"{name},{record_hash(text)},{len(text)}\n" for name, text in files.items())
    files["tiny-1.0.dist-info/RECORD"] = record + "tiny-1.0.dist-info/RECORD,,\n"
    with zipfile.ZipFile(wheel, "w") as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    return wheel


def record_hash(text: str) -> str:
    """A file's hash as a wheel's RECORD has it."""
    digest = hashlib.sha256(text.encode()).digest()
    return "sha256=" + base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
