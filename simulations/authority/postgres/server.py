"""One Postgres server in virtual time: its sessions, who waits for whom, and for how long.

A statement that must wait for another transaction stands still until one ends, the lock's or the
statement's time is over, or it finds itself in a circle of waits after ``deadlock_timeout``: then
the one who looks is the victim, as in Postgres.
"""

import random
from collections.abc import Callable, Sequence

from simulations.authority.postgres.session import Session, Settings
from simulations.authority.postgres.tables import Database
from simulations.clock import Clock

STEP_SECONDS_MAX = 0.000_5
"""Between what two sessions do on one server; the randomness decides who is first."""


class Server:
    """A server and its database. ``following`` another one, it takes no writes."""

    def __init__(self, clock: Clock, rng: random.Random, name: str, database: Database) -> None:
        self.clock = clock
        self.rng = rng
        self.name = name
        self.database = database
        self.up = True
        self.read_only = False
        """A standby, or fenced off by an operator."""
        self.timeline = 1
        self.deadlock_timeout = 1.0
        self.flushed: Callable[[], None] = lambda: None
        """Called when a commit is in the log."""
        self.await_standby: Callable[[int, Callable[[], None]], None] | None = None
        """Given the number of a commit, calls back when a standby has it; None is asynchronous."""
        self.sessions: list[Session] = []
        self._numbers = 0

    def open(self, settings: Settings, lost: Callable[[], None]) -> Session:
        """A new session. ``lost`` is called when the server ends it."""
        if not self.up:
            raise ConnectionRefusedError(111, "Connection refused")
        self._numbers += 1
        session = Session(self, self._numbers, settings, lost)
        self.sessions.append(session)
        return session

    def crash(self) -> None:
        """The processes end: what isn't committed is gone, what is in the log is not."""
        self.up = False
        self.end_sessions()
        for transaction in list(self.database.running):
            self.database.roll_back(transaction)

    def start(self) -> None:
        self.up = True

    def end_sessions(self) -> None:
        """Cut every connection."""
        for session in list(self.sessions):
            session.end()

    def go_on(self) -> None:
        """Somebody gave something up: those who wait look again, in any order."""
        for session in self.sessions:
            if session.is_waiting:
                self.clock.after(self.step(), session.look_again)

    def step(self) -> float:
        return self.rng.random() * STEP_SECONDS_MAX

    def notify(self, notices: Sequence[tuple[str, str]]) -> None:
        for channel, payload in notices:
            for session in self.sessions:
                if channel in session.listening and session.notified is not None:
                    session.notified(channel, payload)
