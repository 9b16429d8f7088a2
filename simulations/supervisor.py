"""Who starts processes: a supervisor, which tries again, and an operator, who reads errors."""

from typing import TYPE_CHECKING

from simulations.disk import DiskFull

if TYPE_CHECKING:
    from simulations.node import Node
    from simulations.world import World

_RESTART_SECONDS = 1.0
"""After this a process is started again whose disk was full."""


def begin(world: "World", node: "Node") -> None:
    """Have a node run, unless it does or never will again.

    With a damaged identity it refuses to start, and the error says to remove the file, which makes
    it a new node (``node.agent.identity``). Where its next generation can't be stored it ends.
    """
    if node.running or node.retired:
        return
    renamed = ""
    if node.disk.identity.damaged:
        world.happened("identity_damaged")
        renamed = node.new_id()
    try:
        node.start(renamed)
    except DiskFull:
        world.happened("start_without_room")
        world.schedule(_RESTART_SECONDS, begin, world, node)
