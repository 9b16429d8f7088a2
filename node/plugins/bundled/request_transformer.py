"""request-transformer: changes to a request before the upstream sees it
(``kong/plugins/request-transformer/access.lua``).

In each part of a request first names are removed, then renamed, then values replaced where there is
one, added where there is none, and appended. Values may be templates (node.plugins.templates).
Bodies are JSON objects or urlencoded forms; other ones, and those that are larger than plugins may
see, stay as they are.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from node.kong_version import KONG_API_VERSION
from node.plugins import bodies
from node.plugins.context import Context
from node.plugins.fields import Arguments
from node.plugins.interface import Bound, Plugin, PluginRefused, Worker
from node.plugins.templates import Template, TemplateRefused
from store.schema.plugins import request_transformer

_PAIR = re.compile(r"([^:]+):*(.*)", re.DOTALL)
_CHANGES = ("rename", "replace", "add", "append")
_PARTS = ("headers", "querystring", "body")
_WITHOUT_BODY = frozenset(("GET", "HEAD", "TRACE"))

Pairs = list[tuple[str, Template]]


def _pairs(texts: list[str]) -> Pairs:
    pairs: Pairs = []
    for text in texts:
        match = _PAIR.fullmatch(text)
        if match is not None:
            pairs.append((match[1], Template(match[2])))
    return pairs


def _name(text: str) -> str:
    match = _PAIR.fullmatch(text)
    return match[1] if match is not None else text


class _Rules:
    """What is to be done to one part of a request."""

    __slots__ = ("add", "any", "append", "remove", "rename", "replace")

    def __init__(self, config: Mapping[str, Any], part: str) -> None:
        self.remove = [_name(text) for text in _listed(config, "remove", part)]
        self.rename, self.replace, self.add, self.append = (
            _pairs(_listed(config, change, part)) for change in _CHANGES
        )
        self.any = bool(self.remove or self.rename or self.replace or self.add or self.append)


def _listed(config: Mapping[str, Any], change: str, part: str) -> list[str]:
    return (config.get(change) or {}).get(part) or []


def _values(config: Mapping[str, Any]) -> Iterator[str]:
    """All values that may be templates."""
    for change in _CHANGES:
        for part in _PARTS:
            for text in _listed(config, change, part):
                match = _PAIR.fullmatch(text)
                yield match[2] if match is not None else text
    yield (config.get("replace") or {}).get("uri") or ""


class RequestTransformer(Plugin):
    """See the module's text."""

    schema = request_transformer.PLUGIN
    version = KONG_API_VERSION

    def __init__(self, config: Mapping[str, Any], bound: Bound, worker: Worker) -> None:
        try:
            self._headers, self._query, self._body = (_Rules(config, part) for part in _PARTS)
            uri = (config.get("replace") or {}).get("uri")
            self._uri = Template(uri) if uri else None
        except TemplateRefused as refusal:
            raise PluginRefused(str(refusal)) from refusal
        self._method: str = (config.get("http_method") or "").upper()

    @classmethod
    def problem(cls, config: Mapping[str, Any]) -> str | None:
        for text in _values(config):
            try:
                Template(text)
            except TemplateRefused as refusal:
                return str(refusal)
        return None

    async def access(self, context: Context) -> None:
        if self._uri is not None:
            path = self._uri.render(context)
            if path:
                if not path.startswith("/"):
                    raise ValueError("replace.uri renders to what doesn't begin with a slash")
                context.set_upstream_path(path)
        if self._method:
            await self._change_method(context)
        if self._headers.any:
            self._change_headers(context)
        if self._body.any:
            await self._change_body(context)
        if self._query.any:
            _change_arguments(self._query, context.query, context)

    async def _change_method(self, context: Context) -> None:
        context.set_upstream_method(self._method)
        if self._method not in _WITHOUT_BODY:
            return
        if bodies.kind_of(context.headers.get("content-type")) != bodies.FORM:
            return
        form = bodies.read_form(await context.body() or b"")
        for name, value in form.pairs if form is not None else ():
            context.query.add(name, value)

    def _change_headers(self, context: Context) -> None:
        rules, headers = self._headers, context.headers
        for name in rules.remove:
            if name.lower() != "host":
                headers.remove(name)
        for name, to in rules.rename:
            values = headers.all(name)
            if values and name.lower() != "host":
                headers.remove(name)
                headers.set(to.render(context), *values)
        for name, value in rules.replace:
            if name.lower() == "host":
                context.set_upstream_host(value.render(context))
            elif headers.get(name) is not None:
                headers.set(name, value.render(context))
        for name, value in rules.add:
            if name.lower() != "host" and headers.get(name) is None:
                headers.set(name, value.render(context))
        for name, value in rules.append:
            if name.lower() != "host":
                headers.add(name, value.render(context))

    async def _change_body(self, context: Context) -> None:
        kind = bodies.kind_of(context.headers.get("content-type"))
        if kind not in (bodies.JSON, bodies.FORM):
            return
        data = await context.body()
        if data is None:
            return
        if kind == bodies.FORM:
            form = bodies.read_form(data)
            if form is None:
                return
            _change_arguments(self._body, form, context)
            if form.edited:
                context.set_upstream_body(form.encode())
            return
        fields = bodies.read_json(data) if data else {}
        if fields is not None and _change_object(self._body, fields, context, bool(data)):
            context.set_upstream_body(bodies.write_json(fields))


def _change_arguments(rules: _Rules, arguments: Arguments, context: Context) -> None:
    for name in rules.remove:
        arguments.remove(name)
    for name, to in rules.rename:
        arguments.rename(name, to.render(context))
    for name, value in rules.replace:
        if name in arguments:
            arguments.set(name, value.render(context))
    for name, value in rules.add:
        if name not in arguments:
            arguments.add(name, value.render(context))
    for name, value in rules.append:
        arguments.add(name, value.render(context))


def _change_object(rules: _Rules, fields: dict[str, Any], context: Context, had_body: bool) -> bool:
    """Whether something may have changed. Without a body there is only adding and appending."""
    before = dict(fields)
    if had_body:
        for name in rules.remove:
            fields.pop(name, None)
        for name, to in rules.rename:
            if name in fields:
                fields[to.render(context)] = fields.pop(name)
        for name, value in rules.replace:
            if fields.get(name, False) is not False:
                fields[name] = value.render(context)
    for name, value in rules.add:
        if fields.get(name, False) is False:
            fields[name] = value.render(context)
    for name, value in rules.append:
        there, rendered = fields.get(name), value.render(context)
        if isinstance(there, list):
            fields[name] = [*there, rendered]
        else:
            fields[name] = [there, rendered] if isinstance(there, str) else [rendered]
    return fields != before


PLUGIN = RequestTransformer
