"""Reads the configuration: every source, every key, and every problem at once."""

import difflib
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from node.config import checks, conf_file, derived, kong_keys, sources
from node.config.limits import PROBLEMS_MAX, VALUE_CHARS_MAX
from node.config.settings import HIDDEN, Settings, keys
from node.config.sources import Assignment
from node.references import ENVIRONMENT, Unresolvable, Vault, Vaults, resolve
from store.schema.values import is_reference

_SHOWN_CHARS = 80
VAULT_PREFIX = "vault_env_prefix"
"""The key by which the references of all others are resolved."""


class ConfigError(Exception):
    """A configuration that a node can't start with."""

    def __init__(self, problems: Iterable[str]) -> None:
        found = tuple(problems)
        more = (f"and {len(found) - PROBLEMS_MAX} more",) if len(found) > PROBLEMS_MAX else ()
        self.problems = (*found[:PROBLEMS_MAX], *more)
        """A sentence each, naming where the value stands, the key, the value and the way out."""
        super().__init__("\n".join(self.problems))


@dataclass(slots=True)
class _Reading:
    """What one reading of the configuration has found so far."""

    problems: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    assignments: list[Assignment] = field(default_factory=list)
    references: dict[str, str] = field(default_factory=dict)
    """Key -> the reference that stands in place of its value."""


def load(
    conf: str | None,
    overrides: Mapping[str, str],
    environ: Mapping[str, str],
    *,
    ignore_unsupported: Iterable[str] = (),
) -> Settings:
    """Read and check the whole configuration.

    ``conf`` is the file to read; without one the usual places are searched (DESIGN 9), and none is
    fine. ``overrides`` are the flags. ``ignore_unsupported`` names Kong keys whose meaning may be
    passed over. Raises ConfigError with every problem found.
    """
    reading = _Reading()
    source = conf or conf_file.find()
    _gather(reading, source, overrides, environ)
    chosen = _choose(reading.assignments)
    _classify(reading, frozenset(ignore_unsupported))
    values = _parse(reading, chosen, environ)
    if not reading.problems:
        _derive(reading, values, chosen, environ)
    if not reading.problems:
        reading.problems += checks.problems(values)
    if reading.problems:
        raise ConfigError(_in_file_order(reading.problems, source))
    reading.warnings += checks.warnings(values)
    return Settings(
        **values,
        source=source or "none",
        warnings=tuple(reading.warnings),
        origins={name: assignment.origin for name, assignment in chosen.items()},
        references=reading.references,
    )


def _in_file_order(problems: Iterable[str], source: str | None) -> list[str]:
    """Problems of flags and variables as found, then the file's by line."""

    def line(problem: str) -> int:
        number = problem.removeprefix(f"{source}:").partition(":")[0]
        return int(number) if number.isdigit() else 0

    return sorted(problems, key=line)


def _gather(
    reading: _Reading, source: str | None, overrides: Mapping[str, str], environ: Mapping[str, str]
) -> None:
    """Collect every assignment of every source."""
    reading.assignments += sources.from_flags(overrides)
    for found in sources.from_environment(environ, {row.name: row for row in keys()}):
        if isinstance(found, ValueError):
            reading.problems.append(str(found))
        else:
            reading.assignments.append(found)
    if source is None:
        return
    try:
        parsed = conf_file.parse(conf_file.read(source))
    except ValueError as error:
        reading.problems.append(str(error))
        return
    reading.problems += [f"{source}:{problem}" for problem in parsed.problems]
    reading.warnings += sources.repeated(source, parsed)
    reading.assignments += sources.from_file(source, parsed)


def _choose(assignments: Iterable[Assignment]) -> dict[str, Assignment]:
    """The assignment that counts for each of our keys: highest source, then the key's own name.

    ``NONE`` and an empty value give the key back to its default, as in Kong.
    """
    best: dict[str, tuple[tuple[int, int], Assignment]] = {}
    preference = {
        name: (row.name, position)
        for row in keys()
        for position, name in enumerate((row.name, *row.aliases))
    }
    for assignment in assignments:
        if assignment.key not in preference:
            continue
        name, position = preference[assignment.key]
        order = (assignment.rank, position)
        if name not in best or order < best[name][0]:
            best[name] = (order, assignment)
    return {
        name: assignment
        for name, (_, assignment) in best.items()
        if assignment.value.strip() not in ("", "NONE")
    }


def _classify(reading: _Reading, ignored: frozenset[str]) -> None:
    """Sort out the keys that aren't ours: warn of the harmless, refuse the rest."""
    ours = {name for row in keys() for name in (row.name, *row.aliases)}
    harmless: set[str] = set()
    unknown_variables: set[str] = set()
    passed_over: set[str] = set()
    for key, value, rank, origin in reading.assignments:
        if key in ours:
            continue
        if meaningful := kong_keys.meaningful(key):
            if kong_keys.asks_for_nothing(meaningful, value):
                continue
            if key in ignored:
                passed_over.add(key)
                continue
            reading.problems.append(
                f"{origin}: {key} = {_shown(value)}: isn't supported: {meaningful.way_out} "
                f"(or start with --ignore-unsupported {key})"
            )
        elif kong_keys.harmless(key):
            if value.strip().lower() not in kong_keys.UNSET:
                harmless.add(key)
        elif rank in sources.ENVIRONMENT_PREFIXES:
            unknown_variables.add(origin)
        else:
            reading.problems.append(f"{origin}: {key}: unknown key; {_nearest(key, ours)}")
    reading.problems += [
        f"--ignore-unsupported: {key}: is no unsupported key of Kong's; leave it out"
        for key in sorted(ignored)
        if not kong_keys.meaningful(key)
    ]
    for text, names in (
        ("keys of Kong's without an effect here", harmless),
        ("unsupported keys passed over as told", passed_over),
        ("variables that name no key", unknown_variables),
    ):
        if names:
            reading.warnings.append(f"{text}: {', '.join(sorted(names))}")


def _nearest(key: str, ours: set[str]) -> str:
    known = sorted(ours | kong_keys.HARMLESS | kong_keys.MEANINGFUL.keys())
    for near in difflib.get_close_matches(key.lower(), known, n=1, cutoff=0.7):
        return f"did you mean {near}?"
    return "remove it; `grapevine check --keys` lists the keys"


def _parse(
    reading: _Reading, chosen: Mapping[str, Assignment], environ: Mapping[str, str]
) -> dict[str, Any]:
    """The typed value of each key, by field; those without a value are None."""
    values: dict[str, Any] = {}
    prefix = chosen.get(VAULT_PREFIX)
    vaults = {ENVIRONMENT: Vault(ENVIRONMENT, prefix.value.strip() if prefix else "")}
    for row in keys():
        assignment = chosen.get(row.name)
        if assignment is None:
            values[row.field] = None if row.default is None else row.parse(row.default)
            continue
        text = assignment.value.strip()
        try:
            if is_reference(text):
                reading.references[row.name] = text
                text = _dereferenced(row.name, text, vaults, environ)
            values[row.field] = row.parse(_checked(text))
        except ValueError as error:
            refers = row.name in reading.references
            shown = HIDDEN if row.secret and not refers else _shown(assignment.value)
            # An error of the value may quote it, and what a reference leads to is a secret.
            quotes = refers and not isinstance(error, Unresolvable)
            why = "leads to a value that this key can't have" if quotes else error
            reading.problems.append(f"{assignment.origin}: {assignment.key} = {shown}: {why}")
    return values


def _dereferenced(name: str, text: str, vaults: Vaults, environ: Mapping[str, str]) -> str:
    """What a reference leads to. Raises Unresolvable."""
    if name == VAULT_PREFIX:
        raise Unresolvable("references are resolved by this key, so it can't be one")
    return resolve(text, vaults, environ)


def _checked(value: str) -> str:
    """What holds for every value. Raises ValueError."""
    if len(value) > VALUE_CHARS_MAX:
        raise ValueError(f"has {len(value)} characters; {VALUE_CHARS_MAX} are allowed")
    if "\0" in value:
        raise ValueError("holds a NUL")
    if any("\ud800" <= character <= "\udfff" for character in value):
        raise ValueError("is no UTF-8")
    return value


def _shown(value: str) -> str:
    return repr(value if len(value) <= _SHOWN_CHARS else f"{value[:_SHOWN_CHARS]}…")


def _derive(
    reading: _Reading,
    values: dict[str, Any],
    chosen: Mapping[str, Assignment],
    environ: Mapping[str, str],
) -> None:
    """Fill in what follows from other values, and make paths absolute."""
    try:
        prefix = Path(values["prefix"] or derived.prefix(environ))
    except ValueError as error:
        reading.problems.append(str(error))
        return
    values["prefix"] = prefix = Path(os.path.abspath(prefix))
    if values["database"] is None:
        postgres = [
            (assignment.key, assignment.origin)
            for assignment in reading.assignments
            if assignment.key.startswith("pg_") and assignment.value.strip() not in ("", "NONE")
        ]
        values["database"], values["database_reason"] = derived.database(postgres)
    else:
        values["database_reason"] = f"database is set ({chosen['database'].origin})"
    values["sqlite_path"] = prefix / (values["sqlite_path"] or "authority.db")
    for log in derived.LOG_FIELDS:
        values[log] = derived.log_path(prefix, values[log])
    if values["cluster_listen"] is None:
        row = next(row for row in keys() if row.field == "cluster_listen")
        values["cluster_listen"] = row.parse(derived.cluster_listen(values["database"]))
