"""key-auth: clients show a key (``kong/plugins/key-auth/handler.lua``)."""

from collections.abc import Coroutine, Mapping
from typing import Any, NamedTuple, NoReturn

from node.kong_version import KONG_API_VERSION
from node.plugins import bodies
from node.plugins.authentication import (
    count_as_anonymous,
    find_consumer,
    meet,
    set_consumer,
)
from node.plugins.context import Consumer, Context
from node.plugins.fields import Arguments, Edit
from node.plugins.interface import Bound, Plugin, Worker
from node.plugins.limits import KEPT_SECONDS_MAX
from store.schema.plugins import key_auth

_NO_KEY = "No API key found in request"
_TWICE = "Duplicate API key found"
_WRONG = "Unauthorized"


class _Refused(Exception):
    """No key, or none that counts."""


class _Settled(NamedTuple):
    """Whose requests with some header fields are, as long as that holds."""

    edition: object
    """That of the look-ups: under another one, this holds no more."""
    since: float
    until: float
    """Unix seconds: when it was found out, and when it has to be found out anew at the latest."""
    consumer: Consumer
    credential: Mapping[str, Any]
    told: Edit


class KeyAuth(Plugin):
    """See the module's text."""

    schema = key_auth.PLUGIN
    version = KONG_API_VERSION

    def __init__(self, config: Mapping[str, Any], bound: Bound, worker: Worker) -> None:
        self._names: list[str] = config["key_names"]
        self._in_header: bool = config["key_in_header"]
        self._in_query: bool = config["key_in_query"]
        self._in_body: bool = config["key_in_body"]
        self._hides: bool = config["hide_credentials"]
        self._anonymous: str | None = config.get("anonymous")
        self._run_on_preflight: bool = config["run_on_preflight"]
        realm = config.get("realm")
        self._lookups = worker.lookups
        self._now = worker.now
        self._challenge = {"WWW-Authenticate": f'Key realm="{realm}"' if realm else "Key"}

    def access(self, context: Context) -> Coroutine[Any, Any, None] | None:
        """Nothing is waited for where the key stands in the head, and whose it is is known here."""
        if not self._run_on_preflight and context.method == "OPTIONS":
            return None
        if self._anonymous and context.credential is not None:
            return None  # another plugin has found out who asks: with ``anonymous``, one is enough
        settled: _Settled | None = context.kept(self)
        if (
            settled is not None
            and settled.edition is self._lookups.edition
            and settled.since <= self._now() < settled.until
            and not (self._hides and context.head.query)
        ):
            context.authenticate(settled.consumer, settled.credential)
            context.edit_upstream_headers(settled.told)
            return None
        if self._in_body or not self._authenticate_now(context):
            return self._find_out(context)
        return None

    def _authenticate_now(self, context: Context) -> bool:
        """Whether that could be done."""
        edition = self._lookups.edition
        try:
            name, key = self._key_in_head(context)
        except _Refused:
            return False
        credentials = context.find_now("keyauth_credentials", "key", key)
        if not credentials:
            return False
        consumers = context.find_now("consumers", "id", credentials[0]["consumer"]["id"])
        if not consumers:
            return False
        first = name == self._names[0] or not self._in_query  # else the query might have one
        if first and self._in_header and context.headers.get(name) is not None:
            self._keep(context, name, consumers[0], credentials[0], edition)
        if self._hides:
            self._hide(context, name)
        set_consumer(context, consumers[0], credentials[0])
        return True

    def _keep(
        self,
        context: Context,
        name: str,
        entity: Mapping[str, Any],
        credential: Mapping[str, Any],
        edition: object,
    ) -> None:
        """It is the header fields alone that say who asks: so they will as long as nothing of it
        changes or expires."""
        now = self._now()
        ends = [each.get("expires_at") for each in (entity, credential)]
        until = min(
            [now + KEPT_SECONDS_MAX, *(end for end in ends if isinstance(end, int | float))]
        )
        _, _, consumer, told = meet(entity, credential)
        if self._hides:
            told = told.without(name)
        context.keep(self, _Settled(edition, now, until, consumer, credential, told))

    async def _find_out(self, context: Context) -> None:
        try:
            await self._authenticate(context)
        except _Refused as refusal:
            if self._anonymous:
                await count_as_anonymous(context, self._anonymous)
            else:
                self._refuse(context, str(refusal))

    def _refuse(self, context: Context, message: str) -> NoReturn:
        context.error(401, message, self._challenge)

    async def _authenticate(self, context: Context) -> None:
        key = await self._take_key(context)
        found = await context.find("keyauth_credentials", "key", key)
        if not found:
            raise _Refused(_WRONG)
        credential = found[0]
        consumer = await find_consumer(context, credential["consumer"]["id"])
        if consumer is None:
            # The credential's consumer is being deleted: both go in one changeset.
            raise _Refused(_WRONG)
        set_consumer(context, consumer, credential)

    async def _take_key(self, context: Context) -> str:
        """The key that the request shows: of the first name under which there is one."""
        body: _Body | None = None
        for name in self._names:
            values = self._in_head(context, name)
            if not values and self._in_body:
                if body is None:
                    body = await _read_body(context)
                values = body.all(name)
            key = _only(values)
            if key is not None:
                if self._hides:
                    self._hide(context, name)
                    if self._in_body:
                        _hide_in(body or await _read_body(context), context, name)
                if not key:
                    break
                return key
        raise _Refused(_NO_KEY)

    def _key_in_head(self, context: Context) -> tuple[str, str]:
        """The same of one that no body is read for, with its name."""
        for name in self._names:
            key = _only(self._in_head(context, name))
            if key:
                return name, key
            if key is not None:
                break
        raise _Refused(_NO_KEY)

    def _in_head(self, context: Context, name: str) -> list[Any]:
        if self._in_header:
            values: list[Any] = context.headers.all(name)
            if values:
                return values
        if self._in_query:
            return [True if each is None else each for each in context.query.all(name)]
        return []

    def _hide(self, context: Context, name: str) -> None:
        """Keep the key from the upstream, wherever it stands in the head."""
        context.query.remove(name)
        context.clear_upstream_header(name)


def _only(values: list[Any]) -> str | None:
    """The key among what stands under a name; None when there is none."""
    if len(values) > 1:
        raise _Refused(_TWICE)
    return values[0] if values and isinstance(values[0], str) else None


class _Body:
    """The fields of a body; of one that has none, or is too large, nothing."""

    def __init__(self, form: Arguments | None, fields: dict[str, Any] | None) -> None:
        self._form = form
        self._fields = fields

    def all(self, name: str) -> list[Any]:
        if self._form is not None:
            return list(self._form.all(name))
        value = (self._fields or {}).get(name)
        return value if isinstance(value, list) else [] if value is None else [value]

    def without(self, name: str) -> bytes | None:
        """The body without a field; None when it has none of that name."""
        if self._form is not None and name in self._form:
            self._form.remove(name)
            return self._form.encode()
        if self._fields is not None and name in self._fields:
            del self._fields[name]
            return bodies.write_json(self._fields)
        return None


def _hide_in(body: _Body, context: Context, name: str) -> None:
    changed = body.without(name)
    if changed is not None:
        context.set_upstream_body(changed)


async def _read_body(context: Context) -> _Body:
    kind = bodies.kind_of(context.headers.get("content-type"))
    data = await context.body() if kind in (bodies.JSON, bodies.FORM) else None
    if not data:
        return _Body(None, None)
    if kind == bodies.FORM:
        return _Body(bodies.read_form(data), None)
    return _Body(None, bodies.read_json(data))


PLUGIN = KeyAuth
