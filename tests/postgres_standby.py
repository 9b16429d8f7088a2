"""A streaming standby of a test's Postgres, and its promotion."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from node.demo.local_postgres import HOST, SUPERUSER, LocalPostgres, PostgresNotStarted


class Standby(LocalPostgres):
    """Follows ``primary`` by streaming replication until it is promoted."""

    def __init__(self, primary: LocalPostgres) -> None:
        super().__init__()
        self._primary = primary

    def create(self) -> None:
        """Copy the primary, which runs. Raises PostgresNotStarted."""
        self._own(self.home)
        self.password = self._primary.password
        command: list[str | Path] = [self.binaries / "pg_basebackup", "-D", self.data, "-R"]
        command += ["-h", HOST, "-p", str(self._primary.port), "-U", SUPERUSER, "-c", "fast"]
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            cwd=self.home,
            user=self._user,
            env={**os.environ, "PGPASSWORD": self.password, "PGSSLMODE": "disable"},
            check=False,
        )
        if done.returncode:
            raise PostgresNotStarted(f"pg_basebackup failed:\n{done.stdout}{done.stderr}")


@contextmanager
def running_standby(primary: LocalPostgres) -> Iterator[Standby]:
    """A standby that streams from a running primary."""
    standby = Standby(primary)
    try:
        standby.create()
        standby.start()
        yield standby
    finally:
        standby.remove()
