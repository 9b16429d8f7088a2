"""A plugin of pytest's: which tests come by which lines, and a run of chosen tests in their order.

    GRAPEVINE_REACH='{"files": [...], "out": "reach.json"}'
    GRAPEVINE_CHOSEN='chosen.json'

The first is a run in which those files are traced: of each test, whether it passed, the seconds
of the processor that it took, and the lines that it came by. The second is a run of the tests named
there.
"""

import json
import os
import sys
import time
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pytest

REACH, CHOSEN = "GRAPEVINE_REACH", "GRAPEVINE_CHOSEN"


class Tracing:
    """Notes what each test comes by."""

    def __init__(self, files: list[str], out: str) -> None:
        self._files = {str(Path(file).resolve()): file for file in files}
        self._out = out
        self._lines: dict[tuple[str, int], None] = {}
        self._tests: dict[str, dict[str, Any]] = {}
        self._begun = 0.0

    def pytest_runtest_protocol(self, item: "pytest.Item") -> None:
        self._lines = {}
        self._tests[item.nodeid] = {"passed": True}
        self._begun = time.process_time()

    def pytest_runtest_logreport(self, report: "pytest.TestReport") -> None:
        self._tests[report.nodeid]["passed"] &= report.passed

    def pytest_runtest_logfinish(self, nodeid: str) -> None:
        taken = {"seconds": time.process_time() - self._begun, "lines": sorted(self._lines)}
        self._tests[nodeid].update(taken)

    def pytest_sessionstart(self) -> None:
        sys.settrace(self._enter)

    def pytest_sessionfinish(self) -> None:
        sys.settrace(None)
        Path(self._out).write_text(json.dumps(self._tests))

    def _enter(self, frame: FrameType, event: str, argument: object) -> Any:
        return self._step if frame.f_code.co_filename in self._files else None

    def _step(self, frame: FrameType, event: str, argument: object) -> Any:
        self._lines[self._files[frame.f_code.co_filename], frame.f_lineno] = None
        return self._step


class Choosing:
    """Runs these tests, in this order."""

    def __init__(self, chosen: list[str]) -> None:
        self._place = {name: place for place, name in enumerate(chosen)}

    def pytest_collection_modifyitems(self, items: "list[pytest.Item]") -> None:
        items[:] = [item for item in items if item.nodeid in self._place]
        items.sort(key=lambda item: self._place[item.nodeid])


def pytest_configure(config: "pytest.Config") -> None:
    if REACH in os.environ:
        config.pluginmanager.register(Tracing(**json.loads(os.environ[REACH])))
    if CHOSEN in os.environ:
        chosen = json.loads(Path(os.environ[CHOSEN]).read_text())
        config.pluginmanager.register(Choosing(chosen))
