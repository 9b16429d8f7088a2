"""What a plugin's schema is, beside the fields that all plugins share."""

from dataclasses import dataclass
from typing import Any, Final

from store.schema.checks import EntityCheck
from store.schema.field import Field
from store.schema.typedefs import PROTOCOL, having

HTTP_PROTOCOLS: Final = ("grpc", "grpcs", "http", "https")
ALL_PROTOCOLS: Final = ("grpc", "grpcs", "http", "https", "tcp", "tls", "tls_passthrough", "udp")
SCOPES: Final = frozenset({"route", "service", "consumer"})
NO_CONSUMER: Final = frozenset({"route", "service"})


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
    def protocols_field(self) -> Field:
        """The field ``protocols`` of this plugin's instances."""
        return Field(
            "set",
            "Protocols of the requests it runs for.",
            required=True,
            default=list(self.protocols_default),
            len_min=1,
            elements=having(PROTOCOL, one_of=self.protocols),
        )

    def describe(self) -> dict[str, Any]:
        """The answer to ``GET /schemas/plugins/{name}``."""
        raise NotImplementedError
