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
        "gcp_use_service_account": Field(
            "boolean", "Whether to log in to Google Cloud as a service account.", default=False
        ),
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
        "max_tokens": Field("integer", "Longest answer.", default=256),
        "input_cost": Field("number", "Cost of a million tokens asked.", gt=0),
        "output_cost": Field("number", "Cost of a million tokens answered.", gt=0),
        "temperature": Field("number", "How freely to answer.", between=(0, 5)),
        "top_p": Field("number", "Share of likely words to choose from.", between=(0, 1)),
        "top_k": Field("integer", "Number of likely words to choose from.", between=(0, 500)),
        "anthropic_version": Field("string", "Version of the API."),
        "azure_instance": Field("string", "Name of the instance."),
        "azure_api_version": Field("string", "Version of the API.", default="2023-05-15"),
        "azure_deployment_id": Field("string", "Name of the deployment."),
        "llama2_format": Field("string", "Format of messages.", one_of=("raw", "openai", "ollama")),
        "mistral_format": Field("string", "Format of messages.", one_of=("openai", "ollama")),
        "upstream_url": having(URL, description="In place of the provider's own."),
        "upstream_path": Field("string", "In place of the provider's own."),
        "gemini": Field(
            "record",
            "Gemini on Vertex AI.",
            fields={name: Field("string", f"Its {name.replace('_', ' ')}.") for name in _GEMINI},
            checks=(MutuallyRequired(_GEMINI),),
        ),
        "bedrock": Field(
            "record", "AWS Bedrock.", fields={"aws_region": Field("string", "Region.")}
        ),
        "huggingface": Field(
            "record",
            "Hugging Face.",
            fields={
                "use_cache": Field("boolean", "Whether an earlier answer will do."),
                "wait_for_model": Field("boolean", "Whether to wait until the model is loaded."),
            },
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
                },
                description="Which model.",
            ),
            "logging": config(
                {
                    "log_statistics": Field(
                        "boolean", "Log counts of tokens.", required=True, default=False
                    ),
                    "log_payloads": Field(
                        "boolean", "Log questions and answers.", required=True, default=False
                    ),
                },
                description="What is logged.",
            ),
            **further,
        },
        checks=_CHECKS,
        description="How to reach the model.",
    )
