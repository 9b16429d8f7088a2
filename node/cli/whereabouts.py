"""Which node a command is about: that of ``-p``, else that of the configuration."""

import os
from pathlib import Path

from node.cli.configuration import Asked, settings
from node.cli.failure import Failure, NotRunning
from node.cli.readiness import Inquiry
from node.cli.running import FACTS_FILE, Facts, RunningNode, find, known


def prefix_of(asked: Asked) -> Path:
    """The node's directory. With ``-p`` no configuration is read: a broken one is no obstacle."""
    if asked.prefix:
        return Path(os.path.abspath(asked.prefix))
    try:
        return settings(asked).prefix
    except Failure as failure:
        raise Failure(*failure.messages, "or name the node's directory with -p") from None


def running_node(asked: Asked) -> RunningNode:
    """The node that is meant. Raises NotRunning."""
    prefix = prefix_of(asked)
    node = find(prefix)
    if node is None:
        raise NotRunning(f"Grapevine is not running in {prefix}")
    return node


def facts_known(node: RunningNode) -> Facts:
    """What the node has noted. Fails when that is of no use."""
    facts = known(node.prefix)
    if facts is None:
        raise Failure(
            f"Grapevine runs in {node.prefix} (pid {node.pid}), but {FACTS_FILE} there is missing "
            "or damaged; restart the node"
        )
    return facts


def inquiry(node: RunningNode, asked: Asked) -> Inquiry:
    """How to ask this node."""
    return Inquiry(
        node.prefix,
        facts_known(node),
        lambda: settings(like(asked, node.prefix)).admin_token,
    )


def like(asked: Asked, prefix: Path) -> Asked:
    """What was asked, completed by how the node of the prefix was started last."""
    facts = known(prefix)
    conf = asked.conf or (facts.conf if facts and asked.prefix else None)
    return asked._replace(conf=conf, prefix=str(prefix))
