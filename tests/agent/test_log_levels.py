"""The log's level: what was set last holds, for its time; then the cluster's; then the
configuration's."""

from collections.abc import Callable

import pytest

from gossip.events import RegisterChanged
from node.agent.log_levels import LogLevels


class Timer:
    def __init__(self, seconds: float, what: Callable[[], None]) -> None:
        self.seconds = seconds
        self.what = what
        self.cancelled = False

    def cancel(self) -> None:
        self.cancelled = True


class Situation:
    """A node whose time the test makes pass, and whose registers it sets."""

    def __init__(self) -> None:
        self.obeyed: list[str] = []
        self.registers: list[tuple[str, str | None, float | None]] = []
        self.timers: list[Timer] = []
        self.levels = LogLevels("notice", self.obeyed.append, self.set_register, self.later)

    def set_register(self, name: str, value: str | None, seconds: float | None) -> None:
        self.registers.append((name, value, seconds))

    def later(self, seconds: float, what: Callable[[], None]) -> Timer:
        self.timers.append(Timer(seconds, what))
        return self.timers[-1]

    def hear(self, value: str | None) -> None:
        self.levels.heard(RegisterChanged("log_level", value, None))

    def end(self) -> None:
        """The time of what was set on the node is over."""
        (timer,) = [timer for timer in self.timers if not timer.cancelled]
        timer.cancelled = True
        timer.what()


@pytest.fixture
def node() -> Situation:
    return Situation()


def test_a_level_set_here_holds_for_its_time(node: Situation) -> None:
    node.levels.set_here("debug", 60.0)
    assert (node.levels.current(), node.timers[0].seconds) == ("debug", 60.0)
    node.end()
    assert node.levels.current() == "notice"
    assert node.obeyed == ["debug", "notice"]
    assert node.registers == []


def test_of_two_the_later_holds_and_its_time_counts(node: Situation) -> None:
    node.levels.set_here("debug", 60.0)
    node.levels.set_here("error", 5.0)
    assert node.timers[0].cancelled
    node.end()
    assert node.obeyed == ["debug", "error", "notice"]


def test_no_time_ends_what_was_set(node: Situation) -> None:
    node.levels.set_here("debug", 60.0)
    node.levels.set_here("debug", 0.0)
    assert node.levels.current() == "notice"
    assert node.timers[0].cancelled


def test_a_level_for_the_cluster_is_a_register_and_obeyed_when_that_is_heard(
    node: Situation,
) -> None:
    node.levels.set_everywhere("debug", 60.0)
    assert node.registers == [("log_level", "debug", 60.0)]
    assert node.obeyed == []
    node.hear("debug")
    assert node.levels.current() == "debug"
    node.hear(None)
    assert node.levels.current() == "notice"
    node.levels.set_everywhere("debug", 0.0)
    assert node.registers[1:] == [("log_level", None, None)]


def test_on_a_node_what_was_set_last_holds(node: Situation) -> None:
    node.levels.set_here("debug", 600.0)
    node.hear("error")
    assert node.levels.current() == "error"
    node.levels.set_here("info", 60.0)
    assert node.levels.current() == "info"
    node.end()
    assert node.levels.current() == "error", "the cluster's still holds"
    node.levels.set_here("info", 60.0)
    node.hear(None)
    assert node.levels.current() == "info", "its end is no news for what was set here"
    assert node.obeyed == ["debug", "error", "info", "error", "info"]


def test_other_registers_and_levels_that_nobody_knows_change_nothing(node: Situation) -> None:
    node.levels.heard(RegisterChanged("other", "debug", None))
    node.hear("trace")
    assert node.levels.current() == "notice"
    assert node.obeyed == []


def test_a_configuration_read_again_is_what_levels_go_back_to(node: Situation) -> None:
    node.levels.set_here("debug", 60.0)
    node.levels.reconfigured("warn")
    assert node.obeyed == ["debug", "debug"], "it still holds, in what was configured anew, too"
    node.end()
    assert node.levels.current() == "warn"
    node.levels.reconfigured("info")
    assert node.levels.current() == "info"
