"""A connection's process on a server: one statement after another, and the transaction around them.

It answers in full or with an error, as the server would; errors are asyncpg's exceptions.
"""

from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import asyncpg

from simulations.authority.postgres.execution import Blockers, Execution, Rows
from simulations.authority.postgres.parser import parse_script
from simulations.authority.postgres.syntax import (
    Begin,
    Check,
    Command,
    Commit,
    Listen,
    Release,
    Rollback,
    Savepoint,
    Set,
    Unmodelled,
)
from simulations.authority.postgres.tables import Transaction

if TYPE_CHECKING:
    from simulations.authority.postgres.server import Server

Answer = tuple[str, Rows] | Exception
"""(command tag, rows), or the server's error."""


PORT = 5432
"""Of every server."""


@dataclass(frozen=True, slots=True)
class Settings:
    """A session's settings, in seconds; 0 is without bound."""

    lock_timeout: float = 0.0
    statement_timeout: float = 0.0
    idle_in_transaction_session_timeout: float = 0.0
    search_path: str = ""

    @property
    def schema(self) -> str:
        return self.search_path.strip('"')

    @classmethod
    def of(cls, texts: Mapping[str, str]) -> "Settings":
        """As they are sent at connect. Raises Unmodelled for one that isn't known."""
        settings = cls()
        for name, text in texts.items():
            if name != "application_name":
                settings = settings.with_(name, text)
        return settings

    def with_(self, name: str, text: str) -> "Settings":
        if name not in Settings.__dataclass_fields__:
            raise Unmodelled(f"the setting {name}")
        value: str | float = text if name == "search_path" else int(text) / 1000
        return replace(self, **{name: value})  # type: ignore[arg-type]


class Session:
    """A connection's process on the server, which does one statement after another."""

    def __init__(
        self, server: "Server", number: int, settings: Settings, lost: Callable[[], None]
    ) -> None:
        self.number = number
        self.listening: list[str] = []
        self.notified: Callable[[str, str], None] | None = None
        self.transaction: Transaction | None = None
        self._server = server
        self._settings = settings
        self._session_settings = settings
        """Without SET LOCAL."""
        self._lost = lost
        self._failed = False
        self._in_block = False
        self._ended = False
        self._hung_up = False
        self._work: list[tuple[Command, Sequence[Any]]] = []
        self._rows: Rows = []
        self._answer: Callable[[Answer], None] | None = None
        self._running: Generator[Blockers, None, Rows] | None = None
        self._blockers: Blockers = ()
        self._wait = 0
        """Counts its waits, so that a time-out knows its own."""
        self._turn = 0
        """Counts statements and idle times alike."""

    @property
    def is_waiting(self) -> bool:
        return bool(self._blockers)

    def receive(
        self, sql: str, executions: Sequence[Sequence[Any]], answer: Callable[[Answer], None]
    ) -> None:
        """Do a statement, once for each of the parameters, or several one after another; one answer
        for all."""
        if self._ended:
            return
        assert self._answer is None, "one thing at a time"
        try:
            commands = parse_script(sql)
        except Unmodelled as error:
            answer(error)
            return
        self._answer = answer
        self._rows = []
        self._work = [(command, parameters) for parameters in executions for command in commands]
        self._next()

    def hang_up(self) -> None:
        """The client is gone. What is under way is done first, as far as it gets."""
        self._hung_up = True
        if self._answer is None and not self._ended:
            self._close()

    def end(self) -> None:
        """The server ends the session."""
        if not self._ended:
            self._close()
            self._lost()

    # One statement

    def _next(self) -> None:
        """Begin the next execution, or answer."""
        self._turn += 1
        if not self._work:
            return
        command, parameters = self._work.pop(0)
        self._later(self._settings.statement_timeout, self._out_of_time, self._turn)
        try:
            tag = self._control(command)
            if tag is not None and self._work:
                self._next()
            elif tag is not None:
                self._finish((tag, []))
            elif not isinstance(command, Commit):
                self._execute(command, parameters)
        except (asyncpg.PostgresError, Unmodelled) as error:
            self._fail(error)

    def _control(self, command: Command) -> str | None:
        """What isn't a query; answers its tag, None when it isn't over."""
        if self._failed and not isinstance(command, Rollback | Commit):
            raise asyncpg.InFailedSQLTransactionError("current transaction is aborted")
        database = self._server.database
        match command:
            case Begin(isolation, read_only):
                if self._in_block:
                    raise Unmodelled("BEGIN in a transaction")
                self._in_block = True
                self._begin(read_only, repeatable=isolation == "repeatable read")
                return "BEGIN"
            case Commit():
                return self._commit()
            case Rollback(None):
                self._roll_back()
                return "ROLLBACK"
            case Rollback(str(name)):
                if not database.roll_back_to(self._open(), name):
                    raise asyncpg.InvalidSavepointSpecificationError(f"no savepoint {name}")
                self._failed = False
                self._server.go_on()
                return "ROLLBACK"
            case Savepoint(name):
                database.set_savepoint(self._open(), name)
                return "SAVEPOINT"
            case Release(name):
                if not self._open().release(name):
                    raise asyncpg.InvalidSavepointSpecificationError(f"no savepoint {name}")
                return "RELEASE"
            case Listen(channel, stop):
                return self._listen(channel, stop)
            case Set():
                return self._set(command)
            case Check(name, value):
                if str(getattr(self._settings, name)) != value:
                    raise asyncpg.RaiseError(f"{name} isn't {value}")
                return "DO"
            case _:
                return None

    def _execute(self, command: Any, parameters: Sequence[Any]) -> None:
        for parameter in parameters:
            _check_text(parameter)
        if self.transaction is None:
            self._begin(read_only=False, repeatable=False)
        transaction = self._open()
        database = self._server.database
        if transaction.snapshot is None or not transaction.repeatable:
            transaction.snapshot = database.commits
        execution = Execution(database, transaction, parameters, self._server.rng, self._answers())
        self._running = execution.run(command)
        self._go(self._running)

    def _answers(self) -> dict[str, Any]:
        """Of ``syntax.SESSION``."""
        server = self._server
        return {
            "current_schema": self._settings.schema,
            "inet_server_addr": server.name,
            "inet_server_port": PORT,
            "pg_current_wal_lsn": server.timeline,
        }

    def look_again(self) -> None:
        """Those it waited for may have ended."""
        if self._running is not None and self.is_waiting:
            self._go(self._running)

    def _go(self, running: Generator[Blockers, None, Rows]) -> None:
        try:
            blockers = next(running)
        except StopIteration as finished:
            self._running, self._blockers = None, ()
            self._rows += finished.value
            self._executed()
        except (asyncpg.PostgresError, Unmodelled) as error:
            self._fail(error)
        else:
            if list(blockers) != list(self._blockers):
                self._blockers = blockers
                self._wait += 1
                self._later(self._server.deadlock_timeout, self._look_for_circle, self._wait)
                self._later(self._settings.lock_timeout, self._lock_timed_out, self._wait)

    def _executed(self) -> None:
        transaction = self._open()
        if not transaction.repeatable:
            transaction.snapshot = None
        if self._work:  # a batch: others get their turn in between
            self._later(self._server.step() or 1e-9, self._go_on_with_batch, self._turn)
            return
        if self._in_block:
            self._finish(("OK", self._rows))
            return
        tag = self._commit()
        if tag is not None:
            self._finish((tag, self._rows))

    def _go_on_with_batch(self, turn: int) -> None:
        if turn == self._turn and not self._ended:
            self._next()

    def _fail(self, error: Exception) -> None:
        running, self._running, self._blockers, self._work = self._running, None, (), []
        if running is not None:
            running.close()
        if self._in_block:
            self._failed = True
            transaction = self._open()
            transaction.snapshot = None
            self._server.database.abort(transaction)
            self._server.go_on()
        elif self.transaction is not None:
            self._roll_back()
        self._finish(error)

    def _finish(self, outcome: Answer) -> None:
        answer, self._answer = self._answer, None
        self._turn += 1
        if self._hung_up:
            self._close()
            return
        if self._in_block:
            idle = self._settings.idle_in_transaction_session_timeout
            self._later(idle, self._idle_too_long, self._turn)
        assert answer is not None
        answer(outcome)

    # Transactions

    def _begin(self, read_only: bool, *, repeatable: bool) -> None:
        read_only = read_only or self._server.read_only
        self.transaction = self._server.database.begin(read_only=read_only, repeatable=repeatable)

    def _open(self) -> Transaction:
        if self.transaction is None:
            raise Unmodelled("outside a transaction")
        return self.transaction

    def _commit(self) -> str | None:
        """The tag, or None while a standby is waited for."""
        if self._failed or self.transaction is None:
            self._roll_back()
            return "ROLLBACK"
        server, transaction = self._server, self.transaction
        number = server.database.flush(transaction)
        if number is None:
            self._committed(transaction)
            return "COMMIT"
        server.flushed()
        if server.await_standby is None:
            self._committed(transaction)
            return "COMMIT"
        server.await_standby(number, lambda: self._acknowledged(transaction))
        return None

    def _acknowledged(self, transaction: Transaction) -> None:
        if transaction is self.transaction and not self._ended:
            self._committed(transaction)
            self._finish(("COMMIT", self._rows))

    def _committed(self, transaction: Transaction) -> None:
        server = self._server
        server.database.commit(transaction)
        server.notify(transaction.notices)
        self._left_block()
        server.go_on()

    def _roll_back(self) -> None:
        if self.transaction is not None:
            self._server.database.roll_back(self.transaction)
            self._server.go_on()
        self._left_block()

    def _left_block(self) -> None:
        self.transaction = None
        self._failed = self._in_block = False
        self._settings = self._session_settings

    # Time

    def _later(self, seconds: float, action: Callable[[int], None], turn: int) -> None:
        if seconds > 0.0:
            self._server.clock.after(seconds, action, turn)

    def _out_of_time(self, turn: int) -> None:
        if turn == self._turn and self._running is not None:
            self._fail(asyncpg.QueryCanceledError("canceling statement due to statement timeout"))

    def _lock_timed_out(self, wait: int) -> None:
        if wait == self._wait and self.is_waiting:
            self._fail(asyncpg.LockNotAvailableError("canceling statement due to lock timeout"))

    def _look_for_circle(self, wait: int) -> None:
        if wait == self._wait and self.is_waiting and self._waits_for_itself():
            self._fail(asyncpg.DeadlockDetectedError("deadlock detected"))

    def _waits_for_itself(self) -> bool:
        waits = {
            session.transaction.number: session._blockers
            for session in self._server.sessions
            if session.transaction is not None
        }
        own = self._open()
        seen: list[Transaction] = []
        ahead = list(self._blockers)
        while ahead:
            transaction = ahead.pop()
            if transaction is own:
                return True
            if transaction not in seen:
                seen.append(transaction)
                ahead.extend(waits.get(transaction.number, ()))
        return False

    def _idle_too_long(self, turn: int) -> None:
        if turn == self._turn and self._answer is None and not self._ended:
            self.end()

    # Its end

    def _close(self) -> None:
        """Roll back what isn't committed; what is in the log is."""
        self._ended = True
        running, self._running, self._blockers, self._work = self._running, None, (), []
        self._answer = None
        if running is not None:
            running.close()
        server = self._server
        if self in server.sessions:
            server.sessions.remove(self)
        transaction = self.transaction
        if transaction is not None and transaction.flushed:
            server.database.commit(transaction)
            self._left_block()
            server.go_on()
        else:
            self._roll_back()

    def _listen(self, channel: str, stop: bool) -> str:
        if self._in_block:
            raise Unmodelled("LISTEN in a transaction")
        if channel in self.listening:
            self.listening.remove(channel)
        if not stop:
            self.listening.append(channel)
        return "UNLISTEN" if stop else "LISTEN"

    def _set(self, command: Set) -> str:
        self._settings = self._settings.with_(command.name, command.value)
        if not command.local:
            self._session_settings = self._settings
        return "SET"


def _check_text(parameter: Any) -> None:
    """What Postgres can't store as text, alone or in an array."""
    for value in parameter if isinstance(parameter, list | tuple) else (parameter,):
        if isinstance(value, str):
            if "\0" in value:
                raise asyncpg.CharacterNotInRepertoireError("invalid byte sequence: 0x00")
            value.encode()
