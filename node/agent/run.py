"""``grapevine run``: the supervisor process, in the foreground until it is told to stop."""

import asyncio
import os
import resource
import signal
from collections.abc import Callable

import uvloop

from node import logs
from node.agent.identity import load_identity
from node.agent.init_process import become_init_if_pid_1
from node.agent.node import Node
from node.agent.prefix import PrefixError, lock_prefix, prepare_prefix
from node.agent.proxying import log_path
from node.agent.signals import Signals
from node.agent.sockets import PortTaken
from node.config.settings import Settings
from node.version import VERSION

log = logs.get("node")


def run(
    settings: Settings,
    read_settings: Callable[[], Settings],
    reloaded: Callable[[tuple[str, ...]], None],
    lifeline: int | None = None,
) -> int:
    """Run a node until a signal stops it; answers the exit code.

    ``read_settings`` reads the configuration again, for a reload, and may raise ConfigError;
    ``reloaded(problems)`` is told how the reload ended, with no problem when it went well.
    ``lifeline`` is a descriptor whose end of file stops the node too: whoever holds its other end
    may die without leaving the node behind.
    """
    become_init_if_pid_1()
    os.umask(0o077)
    for number in (signal.SIGHUP, signal.SIGUSR1):
        signal.signal(number, signal.SIG_IGN)  # until there is somebody to obey them
    try:
        prepare_prefix(settings.prefix)
        logs.configure(settings.log_level, log_path(settings, settings.proxy_error_log))
        lock_prefix(settings.prefix)
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
        uvloop.run(_run(settings, read_settings, reloaded, lifeline))
    except (PrefixError, PortTaken, OSError) as error:
        log.critical(str(error))
        return 1
    except Exception:
        log.exception("the node can't go on")
        return 1
    return 0


async def _run(
    settings: Settings,
    read_settings: Callable[[], Settings],
    reloaded: Callable[[tuple[str, ...]], None],
    lifeline: int | None,
) -> None:
    loop = asyncio.get_running_loop()
    node = Node(settings, load_identity(settings.prefix), read_settings, reloaded)
    signals = Signals(node)
    if lifeline is not None:
        loop.add_reader(lifeline, _cut, loop, lifeline, signals)
    await node.run(signals)


def _cut(loop: asyncio.AbstractEventLoop, lifeline: int, signals: Signals) -> None:
    loop.remove_reader(lifeline)
    signals.terminate(0.0)


def raise_descriptor_limit() -> None:
    """Raise the soft limit of file descriptors to the hard one."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
