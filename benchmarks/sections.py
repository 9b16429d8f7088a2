"""What the page of `make bench` shows: which benchmarks it runs, and what it takes from each.

A section's ``rows`` reads the lines of JSON that its program has printed. What a program left out,
such as a peer that isn't installed, is no row, and the section's text says so.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

Figures = dict[str, Any]
"""A line of JSON that a benchmark has printed."""


@dataclass(frozen=True, slots=True)
class Row:
    """A line of a table: what is measured, of ours and of what stands beside it."""

    what: str
    ours: str
    beside: str = ""
    ratio: str = ""


@dataclass(frozen=True, slots=True)
class Section:
    """One table. ``arguments`` begin with the module; ``short`` is the smoke run of the same.
    ``seconds_max`` is how long the program may take."""

    title: str
    columns: tuple[str, str, str, str]
    arguments: Sequence[str]
    short: Sequence[str]
    rows: Callable[[Sequence[Figures]], Iterator[Row]]
    seconds_max: float = 1_200.0


def _ms(value: float) -> str:
    return f"{value:.1f} ms"


def _times(ours: float, beside: float) -> str:
    return f"{ours / beside:.2f}" if beside else ""


def propagation(lines: Sequence[Figures]) -> Iterator[Row]:
    for line in lines:
        for name in ("p50", "p99"):
            ours, live = line[name], line[f"yardstick_{name}"]
            what = f"{line['nodes']} nodes, {line['writes']} writes, {name}"
            yield Row(what, _ms(ours), _ms(live), _times(ours, live))


def fence(lines: Sequence[Figures]) -> Iterator[Row]:
    for line in lines:
        for name in ("p50", "p99"):
            fenced, plain = line[f"fenced_{name}"], line[f"unfenced_{name}"]
            what = f"{line['nodes']} nodes, {line['writes']} writes, {name}"
            yield Row(what, _ms(fenced), _ms(plain), _times(fenced, plain))


def detection(lines: Sequence[Figures]) -> Iterator[Row]:
    for line in lines:
        figures = line["figures"]
        for key, ours in figures["grapevine"].items():
            name, _, nodes = key.rpartition("_")
            if name != "all" or not ours["n"]:
                continue
            what = f"{nodes} nodes, {ours['n']} kills, until all say failed"
            for system, peers in figures.items():
                theirs = peers.get(key, {})
                if system != "grapevine" and theirs.get("n"):
                    ratio = _times(ours["middle"], theirs["middle"])
                    beside = f"{system} {theirs['middle']:.3f} s"
                    yield Row(what, f"{ours['middle']:.3f} s", beside, ratio)
            if len(figures) == 1:
                yield Row(what, f"{ours['middle']:.3f} s")


def proxy(lines: Sequence[Figures]) -> Iterator[Row]:
    for line in lines:
        for result in line["results"]:
            interval = f"{result['low']:.2f} to {result['high']:.2f}"
            yield Row(result["what"], f"{result['median']:.2f}", interval, result["shown"])


def writes(lines: Sequence[Figures]) -> Iterator[Row]:
    for line in lines:
        for single in line["single"]:
            clients = f"{single['nodes']} x {single['clients']} clients"
            yield Row(
                f"{line['engine']}, commits of {single['commit_ms']:g} ms, {clients}",
                f"{single['writes_per_second']:.0f} writes/s",
                _ms(single["p50_ms"]),
                _ms(single["p99_ms"]),
            )


def repair(lines: Sequence[Figures]) -> Iterator[Row]:
    for line in lines:
        for row in line["rows"]:
            yield Row(
                f"{row['changed']:,} of {line['entities']:,} entities changed",
                f"{row['sketch_bytes']:,} B",
                f"{row['theory_bytes']:,} B",
                f"{row['ratio']:.2f} ({row['wire_bytes']:,} B on the wire)",
            )


def memory(lines: Sequence[Figures]) -> Iterator[Row]:
    for line in lines:
        ours, bare = line["pss_mib"], line["yardstick_mib"]
        each = bare * line["processes"]
        yield Row(
            f"an idle node, {line['processes']} processes",
            f"{ours:.0f} MiB",
            f"{each:.0f} MiB",
            _times(ours, each),
        )
        yield Row("its processor time", f"{line['percent']:.2f} % of a core")


SECTIONS = {
    "propagation": Section(
        "From a write's answer to a proxied request on every other node",
        ("", "a new route", "a live one, asked in the same way", "ratio"),
        ("benchmarks.propagation", "--nodes", "3,10", "--writes", "200"),
        ("benchmarks.propagation", "--nodes", "3", "--writes", "20"),
        propagation,
    ),
    "fence": Section(
        "A write's answer when every member is waited for",
        ("", "fenced", "unfenced", "ratio"),
        ("benchmarks.fence", "--nodes", "3,20", "--writes", "200"),
        ("benchmarks.fence", "--nodes", "3", "--writes", "20"),
        fence,
    ),
    "detection": Section(
        "From kill -9 of a member until all others say that it has failed",
        ("", "Grapevine", "beside it", "ratio"),
        ("benchmarks.membership", "kill", "--nodes", "10", "--runs", "5"),
        ("benchmarks.membership", "kill", "--short"),
        detection,
    ),
    "proxy": Section(
        "The proxy: ratios to others in the same rounds, 95 % intervals",
        ("", "ratio", "interval", "floor and goal"),
        ("benchmarks.proxy", "--seconds", "1", "--only", "plain,latency,plugins,tls"),
        ("benchmarks.proxy", "--seconds", "1", "--rounds", "3", "--only", "plain"),
        proxy,
    ),
    "writes": Section(
        "Single writes at the authority, its commits slowed to those of a disk",
        ("", "writes a second", "p50", "p99"),
        ("benchmarks.writes",),
        ("benchmarks.writes", "--short"),
        writes,
    ),
    "repair": Section(
        "Bytes that repair a replica from a peer",
        ("", "the sketch", "what theory needs", "ratio"),
        ("benchmarks.repair",),
        ("benchmarks.repair", "--entities", "5000"),
        repair,
    ),
    "memory": Section(
        "Memory",
        ("", "here", "as many bare interpreters", "ratio"),
        ("benchmarks.idle", "--seconds", "60"),
        ("benchmarks.idle", "--seconds", "5"),
        memory,
    ),
}
