"""key-auth: clients show a key (``kong/plugins/key-auth/handler.lua``)."""

from collections.abc import Mapping
from typing import Any, NoReturn

from node.plugins import bodies
from node.plugins.authentication import count_as_anonymous, find_consumer, set_consumer
from node.plugins.context import Context
from node.plugins.interface import Bound, Plugin, Worker
from node.version import KONG_API_VERSION
from store.schema.plugins import key_auth

_NO_KEY = "No API key found in request"
_TWICE = "Duplicate API key found"
_WRONG = "Unauthorized"

Body = dict[str, Any] | None


class _Refused(Exception):
    """No key, or none that counts."""


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
        self._challenge = {"WWW-Authenticate": f'Key realm="{realm}"' if realm else "Key"}

    async def access(self, context: Context) -> None:
        if not self._run_on_preflight and context.method == "OPTIONS":
            return
        if self._anonymous and context.credential is not None:
            return  # another plugin has found out who asks: with ``anonymous``, one is enough
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
        body: Body = None
        for name in self._names:
            values: list[Any] = []
            if self._in_header:
                values = list(context.headers.all(name))
            if not values and self._in_query:
                values = [True if each is None else each for each in context.query.all(name)]
            if not values and self._in_body:
                if body is None:
                    body = await self._read_body(context)
                values = body.get(name, []) if body else []
            if len(values) > 1:
                raise _Refused(_TWICE)
            if values and isinstance(values[0], str):
                if self._hides:
                    await self._hide(context, name)
                if not values[0]:
                    break
                return values[0]
        raise _Refused(_NO_KEY)

    async def _read_body(self, context: Context) -> dict[str, Any]:
        """The body's fields, each as a list of its values."""
        kind = bodies.kind_of(context.headers.get("content-type"))
        if kind not in (bodies.JSON, bodies.FORM):
            return {}
        data = await context.body()
        if not data:
            return {}
        if kind == bodies.FORM:
            form = bodies.read_form(data)
            return {name: form.all(name) for name in form}
        fields = bodies.read_json(data) or {}
        return {
            name: value if isinstance(value, list) else [value] for name, value in fields.items()
        }

    async def _hide(self, context: Context, name: str) -> None:
        """Keep the key from the upstream, wherever it stands."""
        context.query.remove(name)
        context.clear_upstream_header(name)
        kind = bodies.kind_of(context.headers.get("content-type"))
        if not self._in_body or kind not in (bodies.JSON, bodies.FORM):
            return
        data = await context.body()
        if not data:
            return
        if kind == bodies.FORM:
            form = bodies.read_form(data)
            if name in form:
                form.remove(name)
                context.set_upstream_body(form.encode())
        else:
            fields = bodies.read_json(data) or {}
            if fields.pop(name, None) is not None:
                context.set_upstream_body(bodies.write_json(fields))


PLUGIN = KeyAuth
