"""Reload: new settings for a running node, as far as new workers can take them up."""

import asyncio
import dataclasses
from collections.abc import Awaitable, Callable

from node import logs
from node.agent.sockets import PortTaken
from node.agent.workers import WorkersFailed
from node.config.load import ConfigError
from node.config.settings import Key, Settings, keys

log = logs.get("node")

RELOADABLE = frozenset(
    (
        "client_max_body_size",
        "declarative_config",
        "dns_hostsfile",
        "dns_order",
        "dns_resolver",
        "dns_valid_ttl",
        "headers",
        "log_level",
        "nginx_worker_processes",
        "proxy_access_log",
        "proxy_access_log_format",
        "proxy_error_log",
        "proxy_listen",
        "real_ip_header",
        "real_ip_recursive",
        "router_flavor",
        "shutdown_timeout",
        "ssl_cert",
        "ssl_cert_key",
        "trusted_ips",
        "upstream_keepalive_idle_timeout",
        "upstream_keepalive_max_requests",
        "upstream_keepalive_pool_size",
        "vault_env_prefix",
    )
)
"""Fields of Settings that new workers take up: all that the proxy does, and the log."""


class Reloader:
    """Reads the settings again and gives them to ``take``; requests meanwhile count as one more."""

    def __init__(
        self,
        read: Callable[[], Settings],
        take: Callable[[Settings], Awaitable[None]],
        ended: Callable[[tuple[str, ...]], None],
    ) -> None:
        self._read = read
        self._take = take
        self._ended = ended
        self._task: asyncio.Task[None] | None = None
        self._again = False
        self.reloads = 0
        """Reloads that came to an end, well or not."""

    def request(self) -> None:
        """Reload now, or once more after the reload that is under way."""
        self._again = True
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._run())

    def cancel(self) -> None:
        """The node ends."""
        if self._task is not None:
            self._task.cancel()

    async def _run(self) -> None:
        while self._again:
            self._again = False
            problems: tuple[str, ...] = ()
            try:
                await self._take(self._read())
            except ConfigError as error:
                problems = tuple(error.problems)
            except (PortTaken, WorkersFailed, OSError) as error:
                problems = (str(error),)
            for problem in problems:
                log.error("reload failed, the old settings stay", reason=problem)
            self.reloads += 1
            try:
                self._ended(problems)
            except OSError as error:
                log.error("the outcome of the reload can't be noted", reason=str(error))


def changed_fixed(before: Settings, after: Settings) -> list[str]:
    """Names of the keys that differ and that a reload leaves as they were."""
    return [row.name for row in _fixed() if getattr(before, row.field) != getattr(after, row.field)]


def with_reloadable(before: Settings, after: Settings) -> Settings:
    """``after`` where a reload may change things, ``before`` elsewhere."""
    fixed = _fixed()
    names = {row.name for row in fixed}
    references = {name: text for name, text in after.references.items() if name not in names}
    references |= {name: text for name, text in before.references.items() if name in names}
    values = {row.field: getattr(before, row.field) for row in fixed}
    return dataclasses.replace(after, references=references, **values)


def _fixed() -> list[Key]:
    return [row for row in keys() if row.field not in RELOADABLE]
