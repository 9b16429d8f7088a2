"""How far a long run is: a bar on standard error, where that is a terminal."""

import sys
from types import TracebackType

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
)


class Bar:
    """A bar while the context lasts. Nothing at all when ``hidden``, or into a file or a pipe."""

    def __init__(self, *, hidden: bool = False) -> None:
        console = Console(stderr=True)
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
        self._progress = Progress(
            *columns,
            TimeElapsedColumn(),
            console=console,
            transient=True,
            disable=hidden or not sys.stderr.isatty(),
        )
        self._task: TaskID | None = None

    def __enter__(self) -> "Bar":
        self._progress.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._progress.stop()

    def show(self, done: int, total: int | None, what: str = "") -> None:
        """So much is done; None is a total that nobody knows."""
        if self._task is None:
            self._task = self._progress.add_task(what, total=total)
        self._progress.update(self._task, completed=done, total=total, description=what)

    def tell(self, line: str) -> None:
        """A line above the bar, or of its own where there is none."""
        self._progress.console.print(line, markup=False, highlight=False, soft_wrap=True)
