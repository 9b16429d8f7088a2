"""aws-lambda: an AWS Lambda function in place of an upstream."""

import re
from collections.abc import Mapping
from typing import Any

from store.schema.checks import Custom, MutuallyRequired
from store.schema.field import Field
from store.schema.plugins.plugin import PluginSchema, config
from store.schema.plugins.typedefs import URL
from store.schema.typedefs import HOST, PORT, having

_SCHEME = re.compile(r"([^:]+)://")


def _proxy_error(entity: Mapping[str, Any]) -> str | None:
    settings = entity.get("config")
    url = settings.get("proxy_url") if isinstance(settings, Mapping) else None
    scheme = _SCHEME.match(url) if isinstance(url, str) else None
    return "proxy_url scheme must be http" if scheme and scheme.group(1) != "http" else None


def _secret(description: str) -> Field:
    return Field("string", description, encrypted=True, referenceable=True)


def _forward(what: str) -> Field:
    return Field("boolean", f"Whether the function is told the {what}.", default=False)


PLUGIN = PluginSchema(
    name="aws-lambda",
    priority=750,
    config=config(
        {
            "timeout": Field("number", "Milliseconds.", required=True, default=60000),
            "keepalive": Field(
                "number",
                "Milliseconds for which an idle connection is kept.",
                required=True,
                default=60000,
            ),
            "aws_key": _secret("Access key id."),
            "aws_secret": _secret("Secret access key."),
            "aws_assume_role_arn": _secret("Role to take on."),
            "aws_role_session_name": Field("string", "Name of the role's session.", default="kong"),
            "aws_sts_endpoint_url": having(URL, description="Where roles are taken on."),
            "aws_region": having(HOST, description="Region of the function."),
            "function_name": Field("string", "Name or ARN of the function."),
            "qualifier": Field("string", "Version or alias of the function."),
            "invocation_type": Field(
                "string",
                "Whether to wait for the answer.",
                required=True,
                default="RequestResponse",
                one_of=("RequestResponse", "Event", "DryRun"),
            ),
            "log_type": Field(
                "string",
                "Whether to get the end of the function's log.",
                required=True,
                default="Tail",
                one_of=("Tail", "None"),
            ),
            "host": having(HOST, description="In place of AWS's own."),
            "port": having(PORT, description="In place of AWS's own.", default=443),
            "disable_https": Field("boolean", "Whether to do without TLS.", default=False),
            "unhandled_status": Field(
                "integer", "Status when the function fails.", between=(100, 999)
            ),
            "forward_request_method": _forward("method"),
            "forward_request_uri": _forward("path and query"),
            "forward_request_headers": _forward("headers"),
            "forward_request_body": _forward("body"),
            "is_proxy_integration": Field(
                "boolean", "Whether the function answers status, headers and body.", default=False
            ),
            "awsgateway_compatible": Field(
                "boolean", "Whether it is asked as AWS's gateway would.", default=False
            ),
            "proxy_url": having(URL, description="HTTP proxy to reach AWS by."),
            "skip_large_bodies": Field(
                "boolean", "Leave out bodies that memory doesn't hold.", default=True
            ),
            "base64_encode_body": Field(
                "boolean", "Whether the body goes in base64.", default=True
            ),
            "aws_imds_protocol_version": Field(
                "string",
                "Version of the metadata service.",
                required=True,
                default="v1",
                one_of=("v1", "v2"),
            ),
            "empty_arrays_mode": Field(
                "string",
                "Whether empty arrays stay arrays.",
                required=True,
                default="legacy",
                one_of=("legacy", "correct"),
            ),
        }
    ),
    checks=(
        MutuallyRequired(("config.aws_key", "config.aws_secret")),
        Custom(("config.proxy_url",), _proxy_error),
    ),
)
