"""Whole nodes: gossip, the real replica and its file, the agent's part and a worker's, and writes.

What production runs on asyncio runs here on loops of virtual time: ``node.agent.serving`` and
``node.agent.workers`` feed a worker through the channel's own frames, and the worker holds what a
worker of production holds (``node.proxy.table``, ``node.proxy.staging``, ``store.cold.reader``).
The promises of DESIGN 1 are checked on that (``promises``).
"""
