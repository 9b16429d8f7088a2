"""What the plugins that find out who asks have in common (Kong: ``kong.client.authenticate`` and
the headers that go with it)."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from node.plugins.context import Consumer, Context
from node.plugins.fields import Edit
from node.plugins.limits import ENTITIES_REMEMBERED_MAX


async def find_consumer(
    context: Context, value: str, *, by_username: bool = False
) -> Mapping[str, Any] | None:
    """The consumer with this id, or with ``by_username`` with this id or name, as stored."""
    found = await context.find("consumers", "id", value)
    if not found and by_username:
        found = await context.find("consumers", "username", value)
    return found[0] if found else None


class _Known(NamedTuple):
    """Somebody who was met before, and what the upstream was told then."""

    entity: Mapping[str, Any]
    credential: Mapping[str, Any] | None
    consumer: Consumer
    told: Edit


_known: dict[str, _Known] = {}
"""By the credential's id, without one by the consumer's."""


def set_consumer(
    context: Context, entity: Mapping[str, Any], credential: Mapping[str, Any] | None
) -> None:
    """The request is this consumer's, by this credential; without one, it counts as anonymous.

    The upstream is told, and what the client says of itself under these names is dropped. Both are
    given as stored.
    """
    key = entity["id"] if credential is None else credential["id"]
    known = _known.get(key)
    if known is None or known.entity is not entity or known.credential is not credential:
        known = _meet(entity, credential)
        if len(_known) >= ENTITIES_REMEMBERED_MAX:
            _known.clear()
        _known[key] = known
    context.authenticate(known.consumer, credential)
    context.edit_upstream_headers(known.told)


def _meet(entity: Mapping[str, Any], credential: Mapping[str, Any] | None) -> _Known:
    consumer = Consumer(entity["id"], entity.get("username") or "", entity.get("custom_id") or "")
    told = {
        "X-Consumer-ID": consumer.id,
        "X-Consumer-Custom-ID": consumer.custom_id,
        "X-Consumer-Username": consumer.username,
        "X-Credential-Identifier": "" if credential is None else str(credential["id"]),
        "X-Anonymous-Consumer": "true" if credential is None else "",
    }
    return _Known(entity, credential, consumer, Edit(told))


async def count_as_anonymous(context: Context, anonymous: str) -> None:
    """Let a request without a credential be that consumer's (id or username)."""
    consumer = await find_consumer(context, anonymous, by_username=True)
    if consumer is None:
        context.worker.log.error("the anonymous consumer doesn't exist", consumer=anonymous)
        context.error(500, "An unexpected error occurred")
    set_consumer(context, consumer, None)
