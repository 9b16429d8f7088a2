"""Which headers carry the trace (``kong/tracing/propagation/schema.lua``)."""

from store.schema.field import Deprecation, Field
from store.schema.plugins.plugin import config
from store.schema.plugins.typedefs import HEADER_NAME

INJECTORS = ("w3c", "datadog", "b3", "gcp", "b3-single", "jaeger", "aws", "ot")
HEADER_TYPES = (
    "preserve", "ignore", "b3", "b3-single", "w3c", "jaeger", "ot", "aws", "datadog", "gcp",
)  # fmt: skip


def propagation(default_format: str) -> Field:
    """The record, with the format that is used when a request brings none."""
    return config(
        {
            "extract": Field(
                "array",
                "Formats looked for in a request; the first one found counts.",
                elements=Field(
                    "string", one_of=tuple(name for name in INJECTORS if name != "b3-single")
                ),
            ),
            "clear": Field(
                "array", "Headers to take out once they were read.", elements=HEADER_NAME
            ),
            "inject": Field(
                "array",
                "Formats sent to the upstream; preserve: the one that was found.",
                elements=Field("string", one_of=("preserve", *INJECTORS)),
            ),
            "default_format": Field(
                "string",
                "Sent under preserve when none was found.",
                required=True,
                one_of=INJECTORS,
            ),
        },
        default={"default_format": default_format},
        description="How the trace is read from requests and handed on.",
    )


def old_header_type(plugin: str, name: str, old_default: str, successor: str) -> Deprecation:
    """What is said of a setting that ``propagation`` replaced."""
    return Deprecation(
        f"{plugin}: config.{name} is deprecated, please use config.{successor} instead",
        old_default=old_default,
    )
