"""Runs a module with the data plane compiled: by default, the tests of proxy and plugins.

    python .ci/compiled.py [MODULE ARGUMENT ...]

Builds the wheel with mypyc (docs/operations.md), installs it in a clean environment, and runs
``python -m MODULE`` there, with tests and benchmarks beside it, and out of reach of the checkout's
own modules. Needs a C compiler and Python's headers. Exits as the module does; with 1 and the
reason when nothing was compiled.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from check_package import ROOT, install, run

TESTS = ("pytest", "-n", "auto", "-m", "not long and not hunt", "tests/proxy", "tests/plugins")
BESIDE = ("tests", "benchmarks", "deploy", "docs", "requirements", "pyproject.toml", "Makefile")
HOOK = "HATCH_BUILD_HOOK_ENABLE_MYPYC"
COUNT = "import pathlib, node; print(len([*pathlib.Path(node.__file__).parent.rglob('*.so')]))"


def main() -> None:
    module = sys.argv[1:] or TESTS
    os.environ.pop("PYTHONPATH", None)  # the checkout's modules would come first
    with tempfile.TemporaryDirectory(prefix="grapevine compiled ") as folder:
        work = Path(folder)
        python = install(compiled_wheel(work / "dist"), work / "environment").parent / "python"
        lock = ROOT / "requirements" / "dev.lock"
        run([python, "-m", "pip", "install", "--quiet", "--requirement", lock], cwd=work)
        for name in BESIDE:
            copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
            copy(ROOT / name, work / name)
        compiled = subprocess.check_output([python, "-c", COUNT], cwd=work, text=True).strip()
        if compiled == "0":
            sys.exit("compiled: the wheel has no compiled module")
        print(f"compiled: {compiled} modules; python -m", *module, flush=True)
        sys.exit(subprocess.run([python, "-m", *module], cwd=work, check=False).returncode)


def compiled_wheel(out: Path) -> Path:
    """Build it with the packages that compiling needs, which are in no lock."""
    os.environ[HOOK] = "1"
    run([sys.executable, "-m", "build", "--outdir", out, ROOT], cwd=ROOT)  # from a copy, the sdist
    del os.environ[HOOK]
    [wheel] = out.glob("*.whl")
    return wheel


if __name__ == "__main__":
    main()
