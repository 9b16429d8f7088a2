"""What the Admin API says of plugins' configurations that are valid and aren't served here."""

from typing import Any

import pytest

from node.config.plugins import schemas
from store.errors import EntityError

NAMED = ("bundled",)


def refusal(name: str, config: dict[str, Any]) -> dict[str, Any]:
    with pytest.raises(EntityError) as refused:
        schemas(NAMED)("plugins").validate_new({"name": name, "config": config}, 1.0)
    assert refused.value.fields is not None
    return dict(refused.value.fields)


def test_what_is_served_is_taken() -> None:
    for name, config in (
        ("key-auth", {}),
        ("rate-limiting", {"minute": 5}),
        ("request-transformer", {"add": {"headers": ["a:$(headers.b)"]}}),
    ):
        schemas(NAMED)("plugins").validate_new({"name": name, "config": config}, 1.0)


@pytest.mark.parametrize(
    "config", [{"policy": "cluster"}, {"policy": "redis", "redis": {"host": "h"}}]
)
def test_policies_that_are_not_here(config: dict[str, Any]) -> None:
    (text,) = refusal("rate-limiting", {"minute": 5, **config})["@entity"]
    assert text.startswith(f"policy '{config['policy']}' is not available")


def test_templates_that_say_too_much() -> None:
    (text,) = refusal("request-transformer", {"add": {"headers": ["a:$(os.time())"]}})["@entity"]
    assert text.startswith("the template '$(os.time())' is more than can be evaluated here")


def test_what_is_not_valid_is_told_alone() -> None:
    assert set(refusal("rate-limiting", {"minute": -1, "policy": "cluster"})) == {"config"}
    assert refusal("jwt", {})["name"].startswith("plugin 'jwt' is not available")
