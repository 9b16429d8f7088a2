"""How to reach a language model (``kong/llm/schemas/init.lua``)."""

from collections.abc import Mapping
from typing import Any

from store.schema.checks import (
    Conditional,
    ConditionalAtLeastOneOf,
    Custom,
    EntityCheck,
    Match,
    MutuallyRequired,
)
from store.schema.field import Field
from store.schema.plugins.plugin import config
from store.schema.plugins.typedefs import URL
from store.schema.typedefs import having

_PROVIDERS = (
    "openai",
    "azure",
    "anthropic",
    "cohere",
    "mistral",
    "llama2",
    "gemini",
    "bedrock",
    "huggingface",
)

MAX_REQUEST_BODY_SIZE = Field(
    "integer", "Largest body that is looked into, in bytes.", default=8192, gt=0
)


def _secret(description: str, *, encrypted: bool = True) -> Field:
    return Field("string", description, encrypted=encrypted, referenceable=True)


_AUTH = Field(
    "record",
    "Credentials shown to the provider.",
    fields={
        "header_name": _secret("Header that holds the credential.", encrypted=False),
        "header_value": _secret("The credential in it."),
        "param_name": _secret("Parameter that holds the credential.", encrypted=False),
        "param_value": _secret("The credential in it."),
        "param_location": Field("string", "Where the parameter goes.", one_of=("query", "body")),
        "gcp_use_service_account": Field("boolean", default=False),
        "gcp_service_account_json": _secret("JSON of the service account.", encrypted=False),
        "aws_access_key_id": _secret("Of an AWS provider."),
        "aws_secret_access_key": _secret("Of an AWS provider."),
        "allow_override": Field(
            "boolean", "Whether clients may bring their own credential.", default=False
        ),
    },
)
_GEMINI = ("api_endpoint", "project_id", "location_id")
_OPTIONS = Field(
    "record",
    "Settings of the model.",
    fields={
        "max_tokens": Field("integer", default=256),
        "input_cost": Field("number", "Cost of a million tokens asked.", gt=0),
        "output_cost": Field("number", "Cost of a million tokens answered.", gt=0),
        "temperature": Field("number", between=(0, 5)),
        "top_p": Field("number", between=(0, 1)),
        "top_k": Field("integer", between=(0, 500)),
        "anthropic_version": Field("string"),
        "azure_instance": Field("string"),
        "azure_api_version": Field("string", default="2023-05-15"),
        "azure_deployment_id": Field("string"),
        "llama2_format": Field("string", one_of=("raw", "openai", "ollama")),
        "mistral_format": Field("string", one_of=("openai", "ollama")),
        "upstream_url": having(URL, description="In place of the provider's own."),
        "upstream_path": Field("string", "In place of the provider's own."),
        "gemini": Field(
            "record",
            fields={name: Field("string") for name in _GEMINI},
            checks=(MutuallyRequired(_GEMINI),),
        ),
        "bedrock": Field("record", fields={"aws_region": Field("string")}),
        "huggingface": Field(
            "record",
            fields={"use_cache": Field("boolean"), "wait_for_model": Field("boolean")},
        ),
    },
)


def _statistics_error(settings: Mapping[str, Any]) -> str | None:
    provider = settings["model"]["provider"]
    route_type = settings["route_type"]
    if not settings["logging"]["log_statistics"]:
        return None
    if route_type == "llm/v1/completions" and provider == "anthropic":
        return f"{provider} does not support statistics when route_type is {route_type}"
    return None


def _needs(provider: str, option: str, owner: str) -> ConditionalAtLeastOneOf:
    return ConditionalAtLeastOneOf(
        "model.provider",
        Match(one_of=(provider,)),
        (f"model.options.{option}",),
        f"must set %s for {owner}",
    )


_CHECKS: tuple[EntityCheck, ...] = (
    Conditional(
        "model.provider",
        Match(one_of=("bedrock", "gemini")),
        "auth.allow_override",
        Match(eq=False),
        "bedrock and gemini only support auth.allow_override = false",
    ),
    MutuallyRequired(("auth.header_name", "auth.header_value")),
    MutuallyRequired(("auth.param_name", "auth.param_value", "auth.param_location")),
    _needs("llama2", "llama2_format", "llama2 provider"),
    _needs("mistral", "mistral_format", "mistral provider"),
    _needs("anthropic", "anthropic_version", "anthropic provider"),
    _needs("azure", "azure_instance", "azure provider"),
    _needs("azure", "azure_api_version", "azure provider"),
    _needs("azure", "azure_deployment_id", "azure provider"),
    _needs("llama2", "upstream_url", "self-hosted providers/models"),
    Custom(("route_type", "model", "logging"), _statistics_error),
)


def llm(**further: Field) -> Field:
    """The record, with the fields that a plugin adds."""
    return config(
        {
            "route_type": Field(
                "string",
                "What the model does; preserve: requests pass as they are.",
                required=True,
                one_of=("llm/v1/chat", "llm/v1/completions", "preserve"),
            ),
            "auth": _AUTH,
            "model": config(
                {
                    "provider": Field(
                        "string", "Whose API it is.", required=True, one_of=_PROVIDERS
                    ),
                    "name": Field("string", "Name of the model."),
                    "options": _OPTIONS,
                }
            ),
            "logging": config(
                {
                    "log_statistics": Field(
                        "boolean", "Log counts of tokens.", required=True, default=False
                    ),
                    "log_payloads": Field(
                        "boolean", "Log questions and answers.", required=True, default=False
                    ),
                }
            ),
            **further,
        },
        checks=_CHECKS,
    )
