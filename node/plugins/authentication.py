"""What the plugins that find out who asks have in common (Kong: ``kong.client.authenticate`` and
the headers that go with it)."""

from collections.abc import Mapping
from typing import Any

from node.plugins.context import Consumer, Context


async def find_consumer(
    context: Context, value: str, *, by_username: bool = False
) -> Consumer | None:
    """The consumer with this id, or with ``by_username`` with this id or name."""
    found = await context.find("consumers", "id", value)
    if not found and by_username:
        found = await context.find("consumers", "username", value)
    if not found:
        return None
    fields = found[0]
    return Consumer(fields["id"], fields.get("username") or "", fields.get("custom_id") or "")


def set_consumer(
    context: Context, consumer: Consumer, credential: Mapping[str, Any] | None
) -> None:
    """The request is this consumer's, by this credential; without one, it counts as anonymous.

    The upstream is told, and what the client says of itself under these names is dropped.
    """
    context.authenticate(consumer, credential)
    told = {
        "X-Consumer-ID": consumer.id,
        "X-Consumer-Custom-ID": consumer.custom_id,
        "X-Consumer-Username": consumer.username,
        "X-Credential-Identifier": "" if credential is None else str(credential["id"]),
        "X-Anonymous-Consumer": "true" if credential is None else "",
    }
    for name, value in told.items():
        if value:
            context.set_upstream_header(name, value)
        else:
            context.clear_upstream_header(name)


async def count_as_anonymous(context: Context, anonymous: str) -> None:
    """Let a request without a credential be that consumer's (id or username)."""
    consumer = await find_consumer(context, anonymous, by_username=True)
    if consumer is None:
        context.worker.log.error("the anonymous consumer doesn't exist", consumer=anonymous)
        context.error(500, "An unexpected error occurred")
    set_consumer(context, consumer, None)
