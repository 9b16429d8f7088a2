"""The counters of one address, and its state that follows from them.

These are lua-resty-healthcheck's rules, by which Kong judges targets. There are four counters and
four states. A success sets the three counters of failures back and a failure that of successes;
which of them reaches its limit first decides. Nothing is counted that couldn't change the state: no
success while an address is healthy, and no failure while it is unhealthy. So a counter of failures
is only ever set back by a success that is counted: where the limit of successes is 0, by none.

Active and passive checks have limits of their own, but share the counters.
"""

from enum import IntEnum
from typing import NamedTuple

from node.proxy.health.settings import Limits

COUNT_MAX = 255
"""The highest limit; counting stops there."""


class State(IntEnum):
    """What an address is taken for. The two in the middle have begun to go over."""

    HEALTHY = 0
    MOSTLY_HEALTHY = 1
    MOSTLY_UNHEALTHY = 2
    UNHEALTHY = 3

    @property
    def available(self) -> bool:
        """Whether requests are sent there."""
        return self <= State.MOSTLY_HEALTHY


class Result(IntEnum):
    """What came of one request or probe."""

    SUCCESS = 0
    HTTP_FAILURE = 1
    TCP_FAILURE = 2
    TIMEOUT = 3


class Counters(NamedTuple):
    """Results since the last one of the other side."""

    successes: int = 0
    http_failures: int = 0
    tcp_failures: int = 0
    timeouts: int = 0

    @property
    def failing(self) -> bool:
        """Whether any failure has been counted."""
        return bool(self.http_failures or self.tcp_failures or self.timeouts)


class Standing(NamedTuple):
    """An address's state and its counters."""

    state: State = State.HEALTHY
    counters: Counters = Counters()


NEW = Standing()


def result_of_status(limits: Limits, status: int) -> Result | None:
    """What a response's status says; None when it says nothing. 0: what came was no response."""
    if status in limits.healthy_statuses:
        return Result.SUCCESS
    if status in limits.unhealthy_statuses or status == 0:
        return Result.HTTP_FAILURE
    return None


def counts(standing: Standing, result: Result, limits: Limits) -> bool:
    """Whether a result is counted at all."""
    reported = State.UNHEALTHY if result else State.HEALTHY
    return bool(limits.numbers[result]) and standing.state != reported


def after(standing: Standing, result: Result, limits: Limits) -> Standing:
    """How an address stands after a result."""
    if not counts(standing, result, limits):
        return standing
    state, counters = standing
    number = min(counters[result] + 1, COUNT_MAX)
    if result is Result.SUCCESS:
        counters = Counters(successes=number)
    else:
        fields = [0, *counters[1:]]
        fields[result] = number
        counters = Counters(*fields)
    if number >= limits.numbers[result]:
        state = State.UNHEALTHY if result else State.HEALTHY
    elif state is State.HEALTHY and counters.failing:
        state = State.MOSTLY_HEALTHY
    elif state is State.UNHEALTHY and counters.successes:
        state = State.MOSTLY_UNHEALTHY
    return Standing(state, counters)


def forced(state: State) -> Standing:
    """As somebody has said, whatever was counted."""
    return Standing(state)
