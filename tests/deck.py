"""The requests of a ``deck gateway sync``, as decK sends them: read, compare, write what differs.

After go-database-reconciler (dump, diff order) and go-kong (which answers it makes sense of, and of
which types it wants their fields). A declaration gives each entity its id, as decK does by itself.
"""

import asyncio
import json
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

Entity = dict[str, Any]
Call = Callable[[str, str, Any], Awaitable[tuple[int, bytes]]]
"""Method, path with query, JSON body or None; status and body of the answer."""

PARALLEL = 10
PAGE_SIZE = 1_000


class Kind(NamedTuple):
    """How decK reads and writes one kind of entity."""

    path: str
    level: int
    """What it may refer to stands on lower levels, and is written before."""
    schema: str = ""
    """Whose defaults are filled in, if any are."""
    below: tuple[str, str] = ("", "")
    """(field, collection) of the parent below whose path it is written."""
    below_path: str = ""
    """What its collection is called there."""


KINDS = {
    "certificates": Kind("/certificates", 0),
    "ca_certificates": Kind("/ca_certificates", 0),
    "consumers": Kind("/consumers", 0),
    "vaults": Kind("/vaults", 0),
    "key-sets": Kind("/key-sets", 0),
    "snis": Kind("/snis", 1),
    "services": Kind("/services", 1, "services"),
    "upstreams": Kind("/upstreams", 1, "upstreams"),
    "keys": Kind("/keys", 1),
    "key-auths": Kind("/key-auths", 1, "", ("consumer", "/consumers"), "key-auth"),
    "hmac-auths": Kind("/hmac-auths", 1, "", ("consumer", "/consumers"), "hmac-auth"),
    "jwts": Kind("/jwts", 1, "", ("consumer", "/consumers"), "jwt"),
    "basic-auths": Kind("/basic-auths", 1, "", ("consumer", "/consumers"), "basic-auth"),
    "oauth2": Kind("/oauth2", 1, "", ("consumer", "/consumers"), "oauth2"),
    "acls": Kind("/acls", 1, "", ("consumer", "/consumers"), "acls"),
    "routes": Kind("/routes", 2, "routes"),
    "targets": Kind("", 2, "targets", ("upstream", "/upstreams"), "targets"),
    "plugins": Kind("/plugins", 3, "plugins/{name}"),
}
ELSEWHERE = ("/filter-chains", "/partials", "/mtls-auths", "/consumer_groups", "/licenses")
"""Asked for as well; 404 says that there are none (400 too, of the first: WebAssembly is off)."""
LEVELS = sorted({kind.level for kind in KINDS.values()})
OWN = ("id", "created_at", "updated_at")
"""What isn't compared."""


@dataclass
class Done:
    """What a sync has written, as ``kind id``."""

    created: list[str]
    updated: list[str]
    deleted: list[str]

    @property
    def nothing(self) -> bool:
        return not (self.created or self.updated or self.deleted)


class Deck:
    """``call`` reaches the Admin API, one or another node's each time."""

    def __init__(self, call: Call, page_size: int = PAGE_SIZE) -> None:
        self._call = call
        self._page_size = page_size
        self._writing = asyncio.Semaphore(PARALLEL)
        self._older_names: dict[str, set[str]] = {}
        """Of settings that have new ones, by the plugin's id: only what is wanted is compared."""

    async def sync(self, wanted: Mapping[str, Sequence[Entity]], tags: str = "") -> Done:
        """Make the entities that have ``tags`` those of a declaration."""
        await self._check_version()
        current = await self.dump(tags)
        filled = {
            name: {item["id"]: await self._filled(name, item) for item in wanted.get(name, ())}
            for name in KINDS
        }
        done = Done([], [], [])
        for level in reversed(LEVELS):
            await asyncio.gather(
                *(
                    self._delete(name, item, done)
                    for name, kind in KINDS.items()
                    for item in current[name].values()
                    if kind.level == level and item["id"] not in filled[name]
                )
            )
        for level in LEVELS:
            await asyncio.gather(
                *(
                    self._put(name, item, current[name].get(item["id"]), done)
                    for name, kind in KINDS.items()
                    for item in filled[name].values()
                    if kind.level == level
                )
            )
        return done

    async def dump(self, tags: str = "") -> dict[str, dict[str, Entity]]:
        """All entities of all kinds by id."""
        names = [name for name, kind in KINDS.items() if kind.path]
        lists = await asyncio.gather(*(self._list(KINDS[name].path, tags) for name in names))
        found = {name: _by_id(name, items) for name, items in zip(names, lists, strict=True)}
        below = await asyncio.gather(
            *(self._list(f"/upstreams/{key}/targets", tags) for key in found["upstreams"])
        )
        found["targets"] = _by_id("targets", [item for items in below for item in items])
        for path in ELSEWHERE:
            status, _ = await self._call("GET", f"{path}?size={self._page_size}", None)
            assert status in ((404, 400) if path == "/filter-chains" else (404, 403)), path
        return found

    async def _check_version(self) -> None:
        root = await self._read("/")
        found = re.match(r"(\d+)\.(\d+)\.\d+$", root["version"])
        assert found, f"decK can't make sense of the version {root['version']}"
        assert int(found[1]) >= 3, "decK wants format version 3.0"
        assert root["configuration"]["database"] in ("postgres", "sqlite")

    async def _list(self, path: str, tags: str) -> list[Entity]:
        items: list[Entity] = []
        query = f"size={self._page_size}" + (f"&tags={tags}" if tags else "")
        offset = ""
        while True:
            page = await self._read(f"{path}?{query}" + (f"&offset={offset}" if offset else ""))
            items += page["data"]
            if "offset" not in page:
                return items
            offset = page["offset"]

    async def _filled(self, name: str, item: Entity) -> Entity:
        schema = KINDS[name].schema.format(**item)
        if not schema:
            return item
        fields = (await self._read(f"/schemas/{schema}"))["fields"]
        filled = _with_defaults(fields, item)
        if name == "plugins":
            (config,) = (field["config"] for field in fields if "config" in field)
            self._older_names[item["id"]] = {
                older for shorthand in config.get("shorthand_fields", ()) for older in shorthand
            }
        return filled

    async def _put(self, name: str, item: Entity, current: Entity | None, done: Done) -> None:
        if current is not None and self._is_same(item, current):
            return
        path = self._path(name, item)
        status, body = await self._write("PUT", path, item)
        if status == 404 and name == "targets":  # which a PUT doesn't make
            status, body = await self._write("POST", path.rpartition("/")[0], item)
        assert status in (200, 201), (path, status, body)
        _decoded(name, json.loads(body))
        (done.created if current is None else done.updated).append(f"{name} {item['id']}")

    async def _delete(self, name: str, item: Entity, done: Done) -> None:
        path = self._path(name, item)
        status, body = await self._write("DELETE", path, None)
        assert status == 204, (path, status, body)
        done.deleted.append(f"{name} {item['id']}")

    def _is_same(self, wanted: Entity, current: Entity) -> bool:
        """Whether nothing has to be written. Go's empty values are the absent ones; the order of
        tags and protocols doesn't count."""
        for older in self._older_names.get(wanted["id"], set()) - wanted.get("config", {}).keys():
            current["config"].pop(older, None)
        return all(
            _plain(name, value) == _plain(name, current.get(name))
            for name, value in wanted.items()
            if name not in OWN
        )

    def _path(self, name: str, item: Entity) -> str:
        kind = KINDS[name]
        field, parents = kind.below
        above = f"{parents}/{item[field]['id']}/{kind.below_path}" if field else kind.path
        return f"{above}/{item['id']}"

    async def _write(self, method: str, path: str, body: Any) -> tuple[int, bytes]:
        async with self._writing:
            return await self._call(method, path, body)

    async def _read(self, path: str) -> Entity:
        status, body = await self._call("GET", path, None)
        assert status == 200, (path, status, body)
        answer: Entity = json.loads(body)
        return answer


def _by_id(name: str, items: Sequence[Entity]) -> dict[str, Entity]:
    found = {item["id"]: _decoded(name, item) for item in items}
    assert len(found) == len(items), f"{name}: a page repeats what another one has"
    return found


def _decoded(name: str, item: Entity) -> Entity:
    """go-kong decodes whole seconds into integers, and fails at 1.0; of targets it wants floats."""
    for field in ("created_at", "updated_at"):
        if field in item:
            wanted = (int, float) if name == "targets" else int
            assert isinstance(item[field], wanted), (name, field, item[field])
    return item


def _with_defaults(fields: Sequence[Mapping[str, Any]], item: Mapping[str, Any]) -> Entity:
    """What go-kong makes of an entity: a record is entered when it is given or required."""
    filled = dict(item)
    for entry in fields:
        ((name, field),) = entry.items()
        given = item.get(name)
        if field["type"] == "record" and (given is not None or field.get("required")):
            filled[name] = _with_defaults(field.get("fields", ()), given or {})
        elif given is None and "default" in field:
            filled[name] = field["default"]
    return filled


def _plain(name: str, value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: found for key, item in value.items() if (found := _plain(key, item))}
    if name in ("tags", "protocols") and value:
        return sorted(value)
    return value or None
