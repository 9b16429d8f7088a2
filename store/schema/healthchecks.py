"""An upstream's health checks: what is probed, and how many results change a target's health.

An interval or a number of 0 turns that part off; all are off by default.
"""

from typing import Any

from store.schema.field import UNSET, Field
from store.schema.typedefs import HEADER_NAME, PATH, SNI, having

_TYPE = Field("string", default="http", one_of=("tcp", "http", "https", "grpc", "grpcs"))
_SECONDS = Field("number", between=(0, 65535))
_NUMBER = Field("integer", between=(0, 255))
_STATUSES = Field("array", elements=Field("integer", between=(100, 999)))
_HEADERS = Field(
    "map",
    "Sent with each probe.",
    keys=HEADER_NAME,
    values=Field("array", elements=Field("string")),
)


def _record(fields: dict[str, Field]) -> Field:
    """A record that is there, with its defaults, unless it is null. They are its default, too, as
    in Kong: decK takes what it compares with from there, and doesn't look into the record."""
    default: dict[str, Any] = {
        name: field.default for name, field in fields.items() if field.default is not UNSET
    }
    return Field("record", fields=fields, default=default)


def _numbers(*names: str) -> dict[str, Field]:
    return {name: having(_NUMBER, default=0) for name in names}


_ACTIVE = _record(
    {
        "type": _TYPE,
        "timeout": having(_SECONDS, description="Of a probe.", default=1),
        "concurrency": Field(
            "integer", "How many targets are probed at once.", default=10, between=(1, 2**31)
        ),
        "http_path": having(PATH, description="Asked for by probes.", default="/"),
        "https_sni": having(SNI, description="Server name of probes by https."),
        "https_verify_certificate": Field("boolean", required=True, default=True),
        "headers": _HEADERS,
        "healthy": _record(
            {
                "interval": having(_SECONDS, description="Between probes.", default=0),
                "http_statuses": having(_STATUSES, default=[200, 302]),
                **_numbers("successes"),
            }
        ),
        "unhealthy": _record(
            {
                "interval": having(_SECONDS, description="Between probes.", default=0),
                "http_statuses": having(
                    _STATUSES, default=[429, 404, 500, 501, 502, 503, 504, 505]
                ),
                **_numbers("tcp_failures", "timeouts", "http_failures"),
            }
        ),
    }
)
_PASSIVE = _record(
    {
        "type": _TYPE,
        "healthy": _record(
            {
                "http_statuses": having(
                    _STATUSES, default=[*range(200, 209), 226, *range(300, 309)]
                ),
                **_numbers("successes"),
            }
        ),
        "unhealthy": _record(
            {
                "http_statuses": having(_STATUSES, default=[429, 500, 503]),
                **_numbers("tcp_failures", "timeouts", "http_failures"),
            }
        ),
    }
)
HEALTHCHECKS = having(
    _record(
        {
            "active": _ACTIVE,
            "passive": _PASSIVE,
            "threshold": Field(
                "number",
                "Percentage of weight that must be healthy for the upstream to be.",
                default=0,
                between=(0, 100),
            ),
        }
    ),
    description="How the health of targets is found out.",
)
