"""What an idle cluster sends: packets and bytes each second and agent, each counted as it is sent.

Bytes are those of whole IPv4 packets: payload + 28 for UDP. TCP is counted as the loopback carries
it, where a segment may be larger than on a wire. A cluster has settled before it is counted: the
claims about the members that joined are no longer passed on.
"""

import asyncio
import socket

from benchmarks.membership.capture import Capture, Traffic
from benchmarks.membership.cluster import Cluster, formed, running
from benchmarks.membership.grounds import OwnLoopback
from benchmarks.membership.plan import Plan, attempt
from benchmarks.membership.report import Goal, Report, Row
from benchmarks.membership.systems import System

MODES = {"plain": False, "encrypted": True}
PACKETS_GOAL = Goal(middle=2.02)
"""Two packets a second, within what one more or less at the edges of a minute makes."""
BYTES_GOALS = {"plain": Goal(middle=180.0), "encrypted": Goal(middle=240.0)}


async def idle(plan: Plan) -> Report:
    """A cluster for each system, size and mode; UDP by agent, TCP as the mean of all agents."""
    report = Report(
        "idle",
        f"Idle for {plan.seconds:g} s after {plan.settle:g} s, sent each second by an agent: "
        "mean (least - most of an agent)",
        _rows(plan.nodes),
        plan.names,
    )
    for mode, encrypted in MODES.items():
        for count in plan.nodes:
            for system in plan.systems:
                await _once(report, plan, system, count, mode, encrypted=encrypted)
    for mode in MODES:
        _compare_sizes(report, plan, mode)
    return report


def _rows(sizes: tuple[int, ...]) -> list[Row]:
    rows = []
    for mode in MODES:
        for count in sizes:
            title = f"{mode}, N={count}"
            rows += [
                Row(f"udp_packets_{mode}_{count}", f"{title}: UDP packets", PACKETS_GOAL, True, 2),
                Row(f"udp_bytes_{mode}_{count}", f"{title}: UDP bytes", BYTES_GOALS[mode], True, 0),
                Row(f"tcp_packets_{mode}_{count}", f"{title}: TCP packets", mean=True, digits=2),
                Row(f"tcp_bytes_{mode}_{count}", f"{title}: TCP bytes", mean=True, digits=0),
            ]
        if len(sizes) > 1:
            title = f"{mode}: UDP bytes, N={max(sizes)} by N={min(sizes)}"
            rows.append(Row(f"growth_{mode}", title, digits=2))
    return rows


async def _once(
    report: Report, plan: Plan, system: System, count: int, mode: str, *, encrypted: bool
) -> None:
    async def work() -> None:
        ground = OwnLoopback()
        async with running(system, ground, count, encrypted=encrypted) as cluster:
            await formed(cluster, plan.settle)
            capture = Capture(ground.namespace)
            try:
                began = asyncio.get_running_loop().time()
                capture.start()
                await cluster.quiet(plan.seconds)
                traffic = capture.stop()
                seconds = asyncio.get_running_loop().time() - began
            finally:
                capture.close()
        _take(report, system, cluster, mode, traffic, seconds)

    await attempt(report, f"{system.name}, {mode}, N={count}", work)


def _take(
    report: Report, system: System, cluster: Cluster, mode: str, traffic: Traffic, seconds: float
) -> None:
    count = len(cluster.numbers)
    ports = [cluster.port(number) for number in cluster.numbers]
    for what, counted in (("packets", traffic.packets), ("bytes", traffic.bytes)):
        by_agent = [counted[socket.IPPROTO_UDP, port] for port in ports]
        samples = report.samples(system.name, f"udp_{what}_{mode}_{count}")
        for one in by_agent:
            samples.add(one / seconds)
        tcp = traffic.total(counted, socket.IPPROTO_TCP)
        report.samples(system.name, f"tcp_{what}_{mode}_{count}").add(tcp / seconds / count)
        strange = traffic.total(counted, socket.IPPROTO_UDP) - sum(by_agent)
        if strange:
            report.notes.append(
                f"{system.name}, {mode}, N={count}: {strange} more UDP {what} were sent from other "
                "ports than the agents'"
            )
    if traffic.unseen:
        report.notes.append(
            f"{system.name}, {mode}, N={count}: {traffic.unseen} packets were not counted"
        )


def _compare_sizes(report: Report, plan: Plan, mode: str) -> None:
    if len(plan.nodes) < 2:
        return
    for system in plan.systems:
        means = []
        for count in (max(plan.nodes), min(plan.nodes)):
            values = report.samples(system.name, f"udp_bytes_{mode}_{count}").values
            means.append(sum(values) / len(values) if values else 0.0)
        if all(means):
            report.samples(system.name, f"growth_{mode}").add(means[0] / means[1])
