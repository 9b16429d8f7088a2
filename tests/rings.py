"""Which ring a test belongs to: what costs much is marked ``long`` and is run by ``make long``.

A test's cost is the processor time of its process and of the children that ended meanwhile: unlike
time by the clock it hardly grows with what else the machine does. What all cost together is printed
at the end of a run, with workers that were forked for a test (tests/proxy/nursery.py), which count
for none.
"""

import resource
from collections.abc import Iterable, Iterator
from typing import Any

import pytest

PROCESSOR_SECONDS_MAX = 20.0
"""Of a test that is not marked. Those that take more than some 4 on a machine of today are marked:
the rest is for slow and busy ones."""

MARKERS = ("long", "hunt")


def first_few(values: Iterable[Any], number: int = 1) -> list[Any]:
    """Parameters of which `make test` takes the first ``number`` and `make long` the others."""
    return [
        value if place < number else pytest.param(value, marks=pytest.mark.long)
        for place, value in enumerate(values)
    ]


def processor_seconds() -> float:
    """What this process and its children that ended have used up to now."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(of.ru_utime + of.ru_stime for of in used)


@pytest.fixture(autouse=True)
def no_test_is_long_unmarked(request: pytest.FixtureRequest) -> Iterator[None]:
    """Keeps `make test` short: whatever costs more belongs to `make long`, or gets cheaper."""
    before = processor_seconds()
    yield
    told = too_long(processor_seconds() - before, request.node)
    assert not told, told


def too_long(seconds: float, test: pytest.Item) -> str:
    """What there is to say of a test that took so much processor time; nothing if it may."""
    if seconds <= PROCESSOR_SECONDS_MAX or any(map(test.get_closest_marker, MARKERS)):
        return ""
    return (
        f"{test.nodeid} took {seconds:.0f} processor seconds, of {PROCESSOR_SECONDS_MAX:.0f} that a"
        " test of `make test` may take: make it cheaper, or mark it with @pytest.mark.long"
    )


_of_workers: list[float] = []
"""What each of xdist's processes has used up."""


@pytest.hookimpl(trylast=True)  # whatever a fixture of the session has started has ended
def pytest_sessionfinish(session: pytest.Session) -> None:
    output: dict[str, float] | None = getattr(session.config, "workeroutput", None)
    if output is not None:
        output["processor_seconds"] = processor_seconds()


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    _of_workers.append(getattr(node, "workeroutput", {}).get("processor_seconds", 0.0))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    spent = sum(_of_workers) or processor_seconds()
    terminalreporter.write_line(f"{spent:.0f} processor seconds")
