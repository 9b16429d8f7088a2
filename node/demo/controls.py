"""What the keys of the demo do to its cluster."""

import asyncio
import itertools
from collections.abc import Coroutine
from typing import Any

import aiohttp

from node.demo.cluster import LocalCluster, LocalNode, NodeFailed
from node.top.snapshot import Key


class Controls:
    """``press`` takes keys. What takes its time goes on beside, one thing at a time."""

    def __init__(self, cluster: LocalCluster) -> None:
        self._cluster = cluster
        self._chosen = len(cluster.nodes) - 1
        self._numbers = itertools.count(1)
        self._doing: asyncio.Task[None] | None = None
        self._starting: asyncio.Future[None] | None = None
        self.sides: dict[str, str] = {}
        """Side of the partition by name of the node; empty without a partition."""
        self.notice = ""

    @property
    def selected(self) -> LocalNode:
        """The node that k and r are about, and that c writes through if it runs."""
        return self._cluster.nodes[self._chosen]

    def keys(self) -> tuple[Key, ...]:
        """All keys, and why one does nothing now."""
        name, runs = self.selected.name, self.selected.running
        few = len(self._cluster.nodes) < 2
        return (
            Key("Tab", "choose"),
            Key("k", "kill", "" if runs else f"{name} doesn't run"),
            Key("r", "revive", f"{name} runs" if runs else ""),
            Key(
                "p",
                "heal" if self.sides else "partition",
                "a partition takes two nodes: grapevine demo --nodes 3" if few else "",
            ),
            Key("c", "change a route", "" if self._writer() else "no node runs"),
            Key("q", "quit"),
        )

    def press(self, key: str) -> None:
        """Do what a key stands for; one that means nothing is passed over."""
        count = len(self._cluster.nodes)
        if key in ("up", "down"):
            self._chosen = (self._chosen + (1 if key == "down" else -1)) % count
            return
        actions = {"k": self._kill, "r": self._revive, "p": self._partition, "c": self._change}
        if key not in actions:
            return
        (obstacle,) = (one.obstacle for one in self.keys() if one.key == key)
        if obstacle:
            self.notice = f"{key}: {obstacle}"
        elif self._doing is not None and not self._doing.done():
            return  # the notice says what is under way
        else:
            self._doing = asyncio.create_task(self._do(actions[key]()))

    async def settle(self) -> None:
        """Wait until what was begun by a key is done."""
        if self._doing is not None:
            await asyncio.wait({self._doing})

    async def close(self) -> None:
        """End what is under way; a node that is being started is one afterwards, to be stopped."""
        if self._doing is not None:
            self._doing.cancel()
            await asyncio.wait({self._doing})
        if self._starting is not None:
            await asyncio.wait({self._starting})

    async def _do(self, action: Coroutine[Any, Any, None]) -> None:
        try:
            await action
        except aiohttp.ClientError as error:
            self.notice = f"it failed: {error}"
        except TimeoutError:
            self.notice = "it failed: no answer in time"
        except (NodeFailed, OSError) as error:
            self.notice = f"it failed: {error}".partition("\n")[0]

    async def _kill(self) -> None:
        node = self.selected
        self.notice = f"{node.name} gets kill -9"
        await node.kill()
        self.notice = f"{node.name} was killed; r revives it"

    async def _revive(self) -> None:
        node = self.selected
        self.notice = f"{node.name} starts again …"
        self._starting = asyncio.ensure_future(node.start())
        await asyncio.shield(self._starting)
        self._cut(node)  # it waits in the pipe until the node reads it, before it gossips
        await node.until_ready(self._cluster.session)
        self.notice = f"{node.name} serves again"

    async def _partition(self) -> None:
        if self.sides:
            self.sides = {}
            self.notice = "healed: the two sides find each other again"
        else:
            half = (len(self._cluster.nodes) + 1) // 2
            self.sides = {
                node.name: "A" if number < half else "B"
                for number, node in enumerate(self._cluster.nodes)
            }
            self.notice = "partition: no gossip between the sides A and B; both reach the database"
        for node in self._cluster.nodes:
            self._cut(node)

    def _cut(self, node: LocalNode) -> None:
        """Tell a node who is on the other side."""
        side = self.sides.get(node.name)
        node.cut([one for one in self._cluster.nodes if self.sides.get(one.name) != side])

    async def _change(self) -> None:
        writer = self._writer()
        assert writer is not None
        path = f"/hello-{next(self._numbers)}"
        async with self._cluster.session.patch(
            f"{writer.admin_url}/routes/hello",
            json={"paths": ["/hello", path]},
            raise_for_status=True,
        ) as response:
            revision = response.headers.get("Grapevine-Revision", "?")
        self.notice = (
            f"{path} is routed: revision {revision} through {writer.name}; `change ms`: "
            "commit until served"
        )

    def _writer(self) -> LocalNode | None:
        running = [node for node in self._cluster.nodes if node.running]
        return self.selected if self.selected.running else next(iter(running), None)
