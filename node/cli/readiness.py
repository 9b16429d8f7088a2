"""Whether a node is ready, asked of the node itself."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from node.admin_client import AdminClient, AdminFailed, AdminUnreachable
from node.cli.running import Facts

NOT_READY = " with 503: "
"""Stands in AdminFailed's text before what the node says it waits for."""


class Readiness(NamedTuple):
    """One answer."""

    ready: bool
    reason: str
    """Why it isn't; when nothing can be asked, what to do about it."""
    answered: bool
    """Whether the node itself gave the reason."""


class Inquiry:
    """Asks the node of a prefix over its status API, or its Admin API when that is off.

    ``token`` is called for the Admin API's token only if it is that API that is asked.
    """

    def __init__(self, prefix: Path, facts: Facts, token: Callable[[], str | None]) -> None:
        self._prefix = prefix
        self._client: AdminClient | None = None
        for listeners, needs_token in ((facts.status_listen, False), (facts.admin_listen, True)):
            known = [listener for listener in listeners if listener.port]
            if known:
                self._client = AdminClient.at(None, known, token() if needs_token else None)
                break

    @property
    def possible(self) -> bool:
        """Whether the node has a listener with a known port to ask."""
        return self._client is not None

    def readiness(self) -> Readiness:
        """Whether the node serves."""
        if self._client is None:
            return Readiness(
                False, "status_listen and admin_listen are off; set one to be told", False
            )
        try:
            self._status(self._client)
            self._client.get("/status/ready")
        except AdminUnreachable as error:
            return Readiness(False, str(error).removesuffix("; is the node running?"), False)
        except AdminFailed as error:
            _, says_so, reason = str(error).partition(NOT_READY)
            return Readiness(False, reason if says_so else str(error), bool(says_so))
        return Readiness(True, "ready", True)

    def worker_pids(self) -> frozenset[int]:
        """The current worker processes; empty while there is no answer."""
        try:
            status = self._status(self._client) if self._client is not None else {}
            return frozenset(worker["pid"] for worker in status["memory"]["workers_lua_vms"])
        except (AdminUnreachable, AdminFailed, KeyError, TypeError):
            return frozenset()

    def _status(self, client: AdminClient) -> dict[str, Any]:
        """``/status`` of this very node. Raises AdminUnreachable, and AdminFailed for another's."""
        status = client.get("/status")
        cluster = status.get("cluster") if isinstance(status, dict) else None
        answering = cluster.get("node_id") if isinstance(cluster, dict) else None
        if answering is None or answering != self._node_id():
            raise AdminFailed(
                f"{client.address} is answered by another process than the node in {self._prefix}"
            )
        assert isinstance(status, dict)
        return status

    def _node_id(self) -> str | None:
        try:
            node_id = json.loads((self._prefix / "identity.json").read_bytes())["node_id"]
        except (OSError, ValueError, KeyError, TypeError):
            return None
        return node_id if isinstance(node_id, str) else None
