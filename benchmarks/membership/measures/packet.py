"""What the core takes to handle one packet: decode, decide, encode the answer. No socket, no clock.

Cores of one cluster talk over a network in memory, in virtual time. Each packet that arrives is
timed from `datagram_received` to the last of its effects, and sorted by what it did: one that a
timer sent and that is answered is a ping, its answer an ack. In a second phase of each round a
member joins, so that pings carry claims: one, or as many as fit. A round's value is its median.
"""

import random
import statistics

from benchmarks.membership.memory_network import Delivery, MemoryNetwork
from benchmarks.membership.plan import Plan, tell
from benchmarks.membership.report import OURS, Report, Row
from gossip.seal import KEY_BYTES

SETTLE_SECONDS = 60.0
IDLE_SECONDS = 10.0
CLAIMS_SECONDS = 5.0
CLAIM_BYTES_MIN = 12
"""A sequence number may lengthen a ping by less than this."""
FULL_BYTES = 700
KINDS = {
    "ping": "a ping, and its ack",
    "ack": "an ack",
    "claim": "a ping with one claim, and its ack",
    "full": "a ping with claims, over half a packet of them, and its ack",
}


async def packet(plan: Plan) -> Report:
    """Ours alone: the others can't be driven by hand."""
    report = Report(
        "packet",
        "One packet in the core, µs: median of rounds' medians",
        [
            Row(f"{kind}_{mode}_{count}", f"N={count}, {mode}: {title}", digits=1)
            for count in plan.nodes
            for mode in ("plain", "encrypted")
            for kind, title in KINDS.items()
        ],
        plan.names,
    )
    for count in plan.nodes:
        for mode in ("plain", "encrypted"):
            tell(f"packet: N={count}, {mode}")
            _measure(report, plan, count, mode)
    return report


def _measure(report: Report, plan: Plan, count: int, mode: str) -> None:
    key = plan.rng.randbytes(KEY_BYTES) if mode == "encrypted" else None
    network = MemoryNetwork(random.Random(plan.rng.getrandbits(64)), key)
    for _ in range(count):
        network.add()
    network.run(SETTLE_SECONDS)
    sizes: dict[str, int] = {}
    for _ in range(plan.runs):
        idle = network.run(IDLE_SECONDS)
        network.add()
        for kind, deliveries in _sorted(idle, network.run(CLAIMS_SECONDS)).items():
            if deliveries:
                taken = statistics.median(one.nanoseconds for one in deliveries)
                report.samples(OURS, f"{kind}_{mode}_{count}").add(taken / 1000.0)
                sizes[kind] = round(statistics.median(one.size for one in deliveries))
    listed = ", ".join(f"{kind} {size}" for kind, size in sizes.items())
    report.notes.append(f"N={count}, {mode}: bytes of UDP payload: {listed}")


def _sorted(idle: list[Delivery], joining: list[Delivery]) -> dict[str, list[Delivery]]:
    """A round's packets by kind."""
    pings = [one for one in idle if one.is_ping]
    bare = max(one.size for one in pings)
    laden = [one for one in joining if one.is_ping and one.size >= bare + CLAIM_BYTES_MIN]
    least = min((one.size - bare for one in laden), default=0)
    return {
        "ping": pings,
        "ack": [one for one in idle if one.is_ack],
        "claim": [one for one in laden if one.size - bare < 1.5 * least],
        "full": [one for one in laden if one.size >= FULL_BYTES],
    }
