"""Counters of metrics with labels, as several workers tell them."""

from node.agent.limits import LABELLED_MAX
from node.agent.worker import Worker
from node.plugins.series import DROPPED


class Labelled:
    """By worker, with those of workers that have ended kept, up to a number of them."""

    def __init__(self) -> None:
        self._of: dict[Worker, dict[str, int]] = {}
        self._ended: dict[str, int] = {}

    def update(self, worker: Worker, counters: dict[str, int]) -> None:
        """A worker tells of those that have changed."""
        self._of.setdefault(worker, {}).update(counters)

    def ended(self, worker: Worker) -> None:
        """A worker has ended: what it counted still counts."""
        for name, value in self._of.pop(worker, {}).items():
            if name not in self._ended and len(self._ended) >= LABELLED_MAX:
                name = DROPPED
            self._ended[name] = self._ended.get(name, 0) + value

    def total(self) -> dict[str, int]:
        """All of them added up."""
        total = dict(self._ended)
        for counters in self._of.values():
            for name, value in counters.items():
                total[name] = total.get(name, 0) + value
        return total
