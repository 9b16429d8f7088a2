"""Last step of `deploy/setup`: links the checkout into a fresh environment and makes it movable.

Does by hand the little that an editable install does (a `.pth` file, the distribution's metadata
and the console scripts): pip would fetch a build back-end for it, which no run-time lock covers.
Runs with the environment's own interpreter and the standard library alone:

    ENVIRONMENT/bin/python deploy/environment.py CHECKOUT ENVIRONMENT FINAL_PLACE
"""

import json
import os
import shlex
import sys
import sysconfig
import tomllib
from pathlib import Path
from typing import Any

# Starts Python through sh: a #! line can hold neither blanks nor more than 127 bytes everywhere. To
# sh the second line runs `exec`; to Python the second and third are one string.
CONSOLE_SCRIPT = """\
#!/bin/sh
'''exec' {python} "$0" "$@"
' '''
import sys

from {module} import {function}

if __name__ == "__main__":
    sys.exit({function}())
"""


def link_checkout(checkout: Path, environment: Path, final: Path, site_packages: Path) -> None:
    """Make the checkout importable and known as an installed distribution.

    :param checkout: folder with `pyproject.toml`; a change in its code is live at once.
    :param environment: root of the environment that `site_packages` belongs to.
    :param final: where the environment will be; the console scripts name its interpreter there.
    :raises KeyError: when `pyproject.toml` lacks a name or a version.
    """
    project: dict[str, Any] = tomllib.loads((checkout / "pyproject.toml").read_text("utf-8"))[
        "project"
    ]
    file_name = project["name"].replace("-", "_")
    link = site_packages / f"{file_name}.pth"
    link.write_bytes(os.fsencode(checkout) + b"\n")
    info = site_packages / f"{file_name}-{project['version']}.dist-info"
    info.mkdir()
    direct_url = {"url": checkout.as_uri(), "dir_info": {"editable": True}}
    (info / "METADATA").write_text(metadata(project), "utf-8")
    (info / "entry_points.txt").write_text(entry_points(project), "utf-8")
    (info / "direct_url.json").write_text(json.dumps(direct_url), "utf-8")
    (info / "INSTALLER").write_text("deploy/setup\n", "utf-8")
    scripts = [
        write_script(environment / "bin" / name, final / "bin" / "python", target)
        for name, target in project.get("scripts", {}).items()
    ]
    installed = [link, *sorted(info.iterdir()), info / "RECORD", *scripts]
    record = "".join(f"{os.path.relpath(path, site_packages)},,\n" for path in installed)
    (info / "RECORD").write_text(record, "utf-8")


def metadata(project: dict[str, Any]) -> str:
    """The core metadata that `pip check` and `importlib.metadata` read (PyPA, version 2.1)."""
    lines = [
        "Metadata-Version: 2.1",
        f"Name: {project['name']}",
        f"Version: {project['version']}",
        f"Requires-Python: {project['requires-python']}",
        *(f"Requires-Dist: {requirement}" for requirement in project["dependencies"]),
    ]
    return "\n".join(lines) + "\n"


def entry_points(project: dict[str, Any]) -> str:
    """The `entry_points.txt` of a distribution: console scripts, then its other groups."""
    groups = {"console_scripts": project.get("scripts", {}), **project.get("entry-points", {})}
    return "".join(
        f"[{group}]\n" + "".join(f"{name} = {target}\n" for name, target in names.items()) + "\n"
        for group, names in groups.items()
    )


def write_script(script: Path, python: Path, target: str) -> Path:
    """Write a console script that calls `target`, such as `node.cli:main`; returns `script`."""
    module, _, function = target.partition(":")
    interpreter = shlex.quote(str(python))
    script.write_text(CONSOLE_SCRIPT.format(python=interpreter, module=module, function=function))
    script.chmod(0o755)
    return script


def relocate(environment: Path, final: Path) -> None:
    """Rewrite the environment's own path in its scripts and settings to the one it will move to.

    Links and binaries are left alone; compiled modules need nothing, since Python corrects the file
    names in them at import.
    """
    before, after = os.fsencode(environment), os.fsencode(final)
    for path in [environment / "pyvenv.cfg", *sorted((environment / "bin").iterdir())]:
        if path.is_symlink() or not path.is_file():
            continue
        content = path.read_bytes()
        if b"\0" not in content and before in content:
            path.write_bytes(content.replace(before, after))


def main() -> None:
    checkout, environment, final = (Path(argument) for argument in sys.argv[1:])
    link_checkout(checkout, environment, final, Path(sysconfig.get_path("purelib")))
    relocate(environment, final)


if __name__ == "__main__":
    main()
