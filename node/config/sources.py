"""Where values come from, highest first: flags, GRAPEVINE_*, KONG_*, the file (DESIGN 9)."""

import re
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from node.config.bounded_file import read_bounded
from node.config.conf_file import Parsed
from node.config.limits import SECRET_FILE_BYTES_MAX
from node.config.settings import Key

FLAG, GRAPEVINE, KONG, FILE = range(4)
ENVIRONMENT_PREFIXES = {GRAPEVINE: "GRAPEVINE_", KONG: "KONG_"}

_INJECTED = re.compile(
    r"(?:.*_)?(?:SERVICE_HOST|SERVICE_PORT(?:_.*)?|PORT|VERSION|PORT_[0-9]+_(?:TCP|UDP|SCTP)(?:_.*)?)"
)
_INJECTED_VALUE = re.compile(r"(?:tcp|udp|sctp)://")


class Assignment(NamedTuple):
    """A value given to a key, and by whom."""

    key: str
    value: str
    rank: int
    """FLAG (the highest) to FILE."""
    origin: str
    """As error texts name it: ``file:line``, a variable, a flag."""


def from_flags(overrides: Mapping[str, str]) -> Iterator[Assignment]:
    """What the command line says."""
    for key, value in overrides.items():
        flag = "-p/--prefix" if key == "prefix" else "--set"
        yield Assignment(key, value, FLAG, flag)


def from_file(path: str, parsed: Parsed) -> Iterator[Assignment]:
    """What the file says; of a key that stands in it twice, the last."""
    last = {entry.key: entry for entry in parsed.entries}
    for entry in last.values():
        yield Assignment(entry.key, entry.value, FILE, f"{path}:{entry.line}")


def repeated(path: str, parsed: Parsed) -> Iterator[str]:
    """A warning per key that stands in the file more than once."""
    first: dict[str, int] = {}
    for entry in parsed.entries:
        if entry.key in first:
            yield f"{path}:{entry.line}: {entry.key}: overrides line {first[entry.key]}"
        first[entry.key] = entry.line


def from_environment(
    environ: Mapping[str, str], known: Mapping[str, Key]
) -> Iterator[Assignment | ValueError]:
    """What the variables say; a ValueError for each that can't be used.

    ``<KEY>_FILE`` of a secret names a file that holds it. Variables that Kubernetes and Docker
    inject for services and links named like us aren't configuration.
    """
    for rank, prefix in ENVIRONMENT_PREFIXES.items():
        for variable, value in environ.items():
            rest = variable.removeprefix(prefix)
            if rest == variable or not rest or rest != rest.upper():
                continue
            key = rest.lower()
            if _is_injected(rest, value, key in known):
                continue
            secret = known.get(key.removesuffix("_file"))
            if key.endswith("_file") and key not in known and secret and secret.secret:
                yield _secret_file(prefix, variable, value, secret, environ, rank)
            else:
                yield Assignment(key, value, rank, variable)


def _is_injected(rest: str, value: str, known: bool) -> bool:
    """Kubernetes makes KONG_PG_PORT=tcp://… for a service ``kong-pg``: not our pg_port."""
    if known:
        return rest.endswith("_PORT") and bool(_INJECTED_VALUE.match(value))
    return bool(_INJECTED.fullmatch(rest))


def _secret_file(
    prefix: str, variable: str, path: str, key: Key, environ: Mapping[str, str], rank: int
) -> Assignment | ValueError:
    plain = f"{prefix}{key.name.upper()}"
    if environ.get(plain):
        return ValueError(f"{variable}: {plain} is set too; unset one of them")
    try:
        text = read_bounded(path, SECRET_FILE_BYTES_MAX).decode()
    except UnicodeDecodeError:
        return ValueError(f"{variable}: {path}: is no UTF-8 text")
    except ValueError as error:
        return ValueError(f"{variable}: {error}")
    if not text.strip():
        return ValueError(f"{variable}: {path}: is empty")
    return Assignment(key.name, text.rstrip("\r\n"), rank, f"{variable} ({path})")
