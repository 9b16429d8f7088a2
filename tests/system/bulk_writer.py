"""Writes services and routes in one transaction, beside the nodes: ``CONF COUNT``."""

import asyncio
import sys
from collections.abc import Iterator

from node.agent.authorities import make_authority
from node.config.load import load
from store.authority import Create, Mutation


def _mutations(count: int) -> Iterator[Mutation]:
    yield Create("services", {"name": "bulk", "host": "127.0.0.1", "port": 9})
    for number in range(count):
        fields = {"paths": [f"/bulk/{number}"], "service": {"name": "bulk"}}
        yield Create("routes", {"name": f"bulk-{number}", **fields})


async def write(conf: str, count: int) -> None:
    authority = make_authority(load(conf, {}, {}))
    await authority.open()
    try:
        committed = await authority.write(tuple(_mutations(count)), origin="bulk")
    finally:
        await authority.close()
    print(committed.head.version)


if __name__ == "__main__":
    asyncio.run(write(sys.argv[1], int(sys.argv[2])))
