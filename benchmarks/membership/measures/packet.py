"""What the core takes to handle one packet: decode, decide, encode the answer. No socket, no clock.

Cores of one cluster talk over a network in memory, in virtual time. Each packet that arrives is
timed from `datagram_received` to the last of its effects, and sorted by what it did: one that a
timer sent and that is answered is a ping, its answer an ack. In a second phase of each round a
member joins, so that pings carry the claim about it. A round's value is its median.
"""

import random
import statistics

from benchmarks.membership.memory_network import Delivery, MemoryNetwork
from benchmarks.membership.plan import Plan, tell
from benchmarks.membership.report import OURS, Report, Row
from gossip.keyring import KEY_BYTES, configured

SETTLE_SECONDS = 60.0
REST_SECONDS = 10.0
"""The last claim has been told often enough after this."""
IDLE_SECONDS = 10.0
CLAIMS_SECONDS = 5.0
CLAIM_BYTES = (20, 100)
"""What one claim adds to a ping. A sequence number may add less, two claims add more."""
KINDS = {
    "ping": "a ping, and its ack",
    "ack": "an ack",
    "claim": "a ping with one claim, and its ack",
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
    keyring = configured(plan.rng.randbytes(KEY_BYTES)) if mode == "encrypted" else None
    network = MemoryNetwork(random.Random(plan.rng.getrandbits(64)), keyring)
    for _ in range(count):
        network.add()
    network.run(SETTLE_SECONDS)
    sizes: dict[str, int] = {}
    for _ in range(plan.runs):
        network.run(REST_SECONDS)
        idle = network.run(IDLE_SECONDS)
        network.add()
        found = _sorted(idle, network.run(CLAIMS_SECONDS))
        for kind, deliveries in found.items():
            report.samples(OURS, f"{kind}_{mode}_{count}").add(_microseconds(deliveries))
            sizes[kind] = _bytes(deliveries)
    listed = ", ".join(f"{kind} {size}" for kind, size in sizes.items())
    report.notes.append(f"N={count}, {mode}: bytes of UDP payload: {listed}")


def _sorted(idle: list[Delivery], joining: list[Delivery]) -> dict[str, list[Delivery]]:
    """A round's packets by kind."""
    pings = [one for one in idle if one.is_ping]
    bare = max((one.size for one in pings), default=0)
    laden = [one for one in joining if one.is_ping]
    least, most = CLAIM_BYTES
    return {
        "ping": pings,
        "ack": [one for one in idle if one.is_ack],
        "claim": [one for one in laden if least <= one.size - bare <= most],
    }


def _microseconds(deliveries: list[Delivery]) -> float | None:
    if not deliveries:
        return None
    return statistics.median(one.nanoseconds for one in deliveries) / 1000.0


def _bytes(deliveries: list[Delivery]) -> int:
    return round(statistics.median(one.size for one in deliveries)) if deliveries else 0
