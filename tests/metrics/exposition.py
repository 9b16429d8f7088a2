"""A reader of Prometheus' text format 0.0.4, written from its description alone.

It is strict: what Prometheus would refuse, or take for something else, is an error here.
"""

import re
from typing import NamedTuple

_NAME = r"[a-zA-Z_:][a-zA-Z0-9_:]*"
_SAMPLE = re.compile(rf"({_NAME})(?:\{{(.*)\}})? (\S+)")
_LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\\\|\\"|\\n)*)"(?:,|$)')
_SUFFIXES = {"histogram": ("_bucket", "_sum", "_count")}
_UNESCAPED = {"\\\\": "\\", '\\"': '"', "\\n": "\n"}

Key = tuple[str, tuple[tuple[str, str], ...]]


class Exposed(NamedTuple):
    """What was read."""

    types: dict[str, str]
    helps: dict[str, str]
    samples: dict[Key, float]

    def value(self, name: str, **labels: str) -> float:
        return self.samples[name, tuple(sorted(labels.items()))]


def read(text: str) -> Exposed:
    """Raises AssertionError for what isn't in the format."""
    exposed = Exposed({}, {}, {})
    family = ""
    assert text.endswith("\n")
    for line in text[:-1].split("\n"):
        if line.startswith("# HELP "):
            family, _, text = line.removeprefix("# HELP ").partition(" ")
            assert family not in exposed.helps, f"{family} twice"
            exposed.helps[family] = _unescape(text)
        elif line.startswith("# TYPE "):
            name, _, kind = line.removeprefix("# TYPE ").partition(" ")
            assert name == family, line
            assert kind in ("counter", "gauge", "histogram")
            assert kind != "counter" or name.endswith("_total") or name.startswith("kong_"), name
            exposed.types[name] = kind
        else:
            _sample(line, family, exposed)
    _check_histograms(exposed)
    return exposed


def _sample(line: str, family: str, exposed: Exposed) -> None:
    found = _SAMPLE.fullmatch(line)
    assert found is not None, line
    name, inner, value = found.groups()
    suffixes = _SUFFIXES.get(exposed.types[family], ("",))
    assert name in {family + suffix for suffix in suffixes}, line
    labels = _labels(inner) if inner else ()
    assert (name, labels) not in exposed.samples, f"{line} twice"
    exposed.samples[name, labels] = float(value)


def _labels(inner: str) -> tuple[tuple[str, str], ...]:
    labels, at = [], 0
    while at < len(inner):
        found = _LABEL.match(inner, at)
        assert found is not None, inner
        labels.append((found[1], _unescape(found[2])))
        at = found.end()
    return tuple(sorted(labels))


def _unescape(text: str) -> str:
    return re.sub(r'\\[\\"n]', lambda found: _UNESCAPED[found[0]], text)


def _check_histograms(exposed: Exposed) -> None:
    for name, kind in exposed.types.items():
        if kind != "histogram":
            continue
        of: dict[tuple[tuple[str, str], ...], list[tuple[float, float]]] = {}
        for (sample, labels), value in exposed.samples.items():
            if sample == f"{name}_bucket":
                rest = tuple(label for label in labels if label[0] != "le")
                of.setdefault(rest, []).append((float(dict(labels)["le"]), value))
        for rest, buckets in of.items():
            assert buckets == sorted(buckets), name
            assert buckets[-1] == (float("inf"), exposed.samples[f"{name}_count", rest]), name
            assert (f"{name}_sum", rest) in exposed.samples
