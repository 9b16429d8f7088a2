"""What a plugin's schema is, beside the fields that all plugins share."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from store.schema.checks import EntityCheck
from store.schema.field import NULL_ONLY, Field, Shorthand
from store.schema.typedefs import PROTOCOL, PROTOCOLS, having

HTTP_PROTOCOLS: Final = ("grpc", "grpcs", "http", "https")
SCOPES: Final = frozenset({"route", "service", "consumer"})
NO_CONSUMER: Final = frozenset({"route", "service"})
GLOBAL_ONLY: Final[frozenset[str]] = frozenset()


@dataclass(frozen=True, slots=True)
class PluginSchema:
    """One plugin: what its configuration may say and what it may be bound to."""

    name: str
    """As clients write it: ``key-auth``."""
    priority: int
    """Kong's; of two plugins the higher one runs first."""
    config: Field
    """The record of its settings; always required."""
    protocols: tuple[str, ...] = HTTP_PROTOCOLS
    """What ``protocols`` of an instance may hold."""
    protocols_default: tuple[str, ...] = HTTP_PROTOCOLS
    scopes: frozenset[str] = SCOPES
    """Which of the fields ``route``, ``service`` and ``consumer`` may be set."""
    checks: tuple[EntityCheck, ...] = ()
    """Rules over the whole plugin entity; their paths begin with ``config.``."""

    @property
    def fields(self) -> dict[str, Field]:
        """What differs from the fields that all plugins share."""
        refused = {
            scope: Field("foreign", reference=f"{scope}s", null_only=NULL_ONLY)
            for scope in ("consumer", "service", "route")
            if scope not in self.scopes
        }
        protocols = Field(
            "set",
            "Protocols of the requests it runs for.",
            required=True,
            default=list(self.protocols_default),
            elements=having(PROTOCOL, one_of=self.protocols),
        )
        return {**refused, "protocols": protocols, "config": self.config}


ALL_PROTOCOLS: Final = PROTOCOLS


def config(
    fields: Mapping[str, Field],
    *,
    checks: tuple[EntityCheck, ...] = (),
    shorthands: Mapping[str, Shorthand] | None = None,
    **attributes: Any,
) -> Field:
    """A record that is filled with its defaults when it is missing, as Kong's are."""
    return Field(
        "record",
        required=True,
        fields=fields,
        checks=checks,
        shorthands=shorthands,
        **attributes,
    )
