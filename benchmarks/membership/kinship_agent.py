"""One agent of kinship: runs until it is killed and prints what it learns of members.

    python kinship_agent.py NAME HOST:PORT [SEED...]

It is run by the interpreter of kinship's environment, which has nothing else of ours.
"""

import asyncio
import os
import sys

MARK = "kinship-agent"
KEY = "KINSHIP_AGENT_KEY"


def say(*words: str) -> None:
    print(MARK, *words, flush=True)


async def main(name: str, bind: str, seeds: list[str]) -> None:
    import kinship  # type: ignore[import-not-found]

    kinds = {
        kinship.MemberJoined: "alive",
        kinship.MemberRecovered: "alive",
        kinship.MemberSuspect: "suspect",
        kinship.MemberDead: "failed",
        kinship.MemberLeft: "left",
    }
    key = os.environ[KEY]
    config = kinship.Config.lan(
        name=name,
        bind=bind,
        seeds=seeds,
        cluster="bench",
        **({"keys": [key]} if key else {"insecure_plaintext": True}),
    )
    cluster = kinship.Cluster(config)
    if seeds:
        say("joining")
    await cluster.start()
    events = cluster.events()  # from here on; what the join itself brought is listed
    say("up")
    for member in cluster.members():
        say("alive", member.name)
    async for event in events:
        kind = kinds.get(type(event))
        if kind is not None:
            say(kind, event.member.name)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], sys.argv[3:]))
