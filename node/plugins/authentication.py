"""What the plugins that find out who asks have in common (Kong: ``kong.client.authenticate`` and
the headers that go with it)."""

from collections.abc import Mapping
from typing import Any

from node.plugins.context import Consumer, Context
from node.plugins.fields import Edit
from node.plugins.limits import ENTITIES_REMEMBERED_MAX


async def find_consumer(
    context: Context, value: str, *, by_username: bool = False
) -> Consumer | None:
    """The consumer with this id, or with ``by_username`` with this id or name."""
    found = await context.find("consumers", "id", value)
    if not found and by_username:
        found = await context.find("consumers", "username", value)
    return consumer_of(found[0]) if found else None


def consumer_of(entity: Mapping[str, Any]) -> Consumer:
    """A consumer, as stored."""
    return Consumer(entity["id"], entity.get("username") or "", entity.get("custom_id") or "")


def set_consumer(
    context: Context, consumer: Consumer, credential: Mapping[str, Any] | None
) -> None:
    """The request is this consumer's, by this credential; without one, it counts as anonymous.

    The upstream is told, and what the client says of itself under these names is dropped.
    """
    context.authenticate(consumer, credential)
    credential_id = "" if credential is None else str(credential["id"])
    told = _told.get((consumer, credential_id))
    if told is None:
        told = Edit(
            {
                "X-Consumer-ID": consumer.id,
                "X-Consumer-Custom-ID": consumer.custom_id,
                "X-Consumer-Username": consumer.username,
                "X-Credential-Identifier": credential_id,
                "X-Anonymous-Consumer": "" if credential_id else "true",
            }
        )
        if len(_told) >= ENTITIES_REMEMBERED_MAX:
            _told.clear()
        _told[consumer, credential_id] = told
    context.edit_upstream_headers(told)


_told: dict[tuple[Consumer, str], Edit] = {}
"""What the upstream is told of those who were met before."""


async def count_as_anonymous(context: Context, anonymous: str) -> None:
    """Let a request without a credential be that consumer's (id or username)."""
    consumer = await find_consumer(context, anonymous, by_username=True)
    if consumer is None:
        context.worker.log.error("the anonymous consumer doesn't exist", consumer=anonymous)
        context.error(500, "An unexpected error occurred")
    set_consumer(context, consumer, None)
