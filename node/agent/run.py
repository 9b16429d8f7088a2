"""``grapevine run``: the supervisor process, in the foreground until it is told to stop."""

import asyncio
import os
import resource
import signal
from typing import Protocol

import uvloop

from node import logs
from node.agent.identity import load_identity
from node.agent.init_process import become_init_if_pid_1
from node.agent.lifeline import Lifeline
from node.agent.node import Node
from node.agent.prefix import PrefixError, lock_prefix, prepare_prefix
from node.agent.proxying import log_path
from node.agent.signals import Signals
from node.agent.sockets import PortTaken
from node.config.settings import Settings
from node.version import VERSION

log = logs.get("node")


class Configuration(Protocol):
    """Where the settings come from, and who wants to know what became of them."""

    def started(self) -> None:
        """The prefix is locked: this process is the node that runs there. Raises OSError."""

    def read_again(self) -> Settings:
        """Read everything again, for a reload. Raises ConfigError."""

    def reloaded(self, problems: tuple[str, ...]) -> None:
        """How the reload ended: without a problem when it went well. Raises OSError."""


def run(settings: Settings, configuration: Configuration, lifeline: int | None = None) -> int:
    """Run a node until a signal stops it; answers the exit code.

    ``lifeline`` is a descriptor whose end of file stops the node too: whoever holds its other end
    may die without leaving the node behind (``node.agent.lifeline``).
    """
    become_init_if_pid_1()
    os.umask(0o077)
    for number in (signal.SIGHUP, signal.SIGUSR1):
        signal.signal(number, signal.SIG_IGN)  # until there is somebody to obey them
    try:
        prepare_prefix(settings.prefix)
        logs.configure(settings.log_level, log_path(settings, settings.proxy_error_log))
        lock_prefix(settings.prefix)
        configuration.started()
        raise_descriptor_limit()
        log.notice(
            "starting",
            version=VERSION,
            database=settings.database,
            because=settings.database_reason,
            conf=settings.source,
            prefix=settings.prefix,
        )
        for warning in settings.warnings:
            log.warning(warning)
        uvloop.run(_run(settings, configuration, lifeline))
    except (PrefixError, PortTaken, OSError) as error:
        log.critical(str(error))
        return 1
    except Exception:
        log.exception("the node can't go on")
        return 1
    return 0


async def _run(settings: Settings, configuration: Configuration, lifeline: int | None) -> None:
    loop = asyncio.get_running_loop()
    stored = load_identity(settings.prefix)
    node = Node(settings, stored, configuration.read_again, configuration.reloaded)
    signals = Signals(node)
    if lifeline is not None:

        def ended() -> None:
            loop.remove_reader(lifeline)
            signals.terminate(0.0)

        loop.add_reader(lifeline, Lifeline(lifeline, node.cut, ended).readable)
    await node.run(signals)


def raise_descriptor_limit() -> None:
    """Raise the soft limit of file descriptors to the hard one."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
