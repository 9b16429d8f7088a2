"""The errors of a document as one list, an item an entity (Kong's ``flatten_errors=1``).

Whoever has made a document of something else, as a Kubernetes controller does, finds the entity
again by its tags or its name, wherever it is nested.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from store.declarative.items import children_of
from store.schema import kinds, schema
from store.schema.values import is_uuid
from store.schema.violations import ENTITY, FieldErrors

Flat = list[dict[str, Any]]


def flatten(values: Mapping[str, Any], errors: FieldErrors) -> tuple[Flat, FieldErrors]:
    """An item for each entity of a document that has errors, and the errors that are none's.

    ``values`` is the document, ``errors`` what is wrong with it: nested as it is.
    """
    flat: Flat = []
    rest: FieldErrors = {}
    for name in sorted(errors):
        found, entities = errors[name], values.get(name)
        if name in kinds() and isinstance(found, dict) and isinstance(entities, list):
            found = _by_place(schema(name).endpoint_key, entities, found)
        if name not in kinds() or not isinstance(found, list) or not isinstance(entities, list):
            rest[name] = found
            continue
        left = [
            _left(name, entity, wrong, flat) for entity, wrong in zip(entities, found, strict=False)
        ]
        if any(item is not None for item in left):
            rest[name] = left
    return flat, rest


def _by_place(
    key: str | None, entities: Sequence[Any], found: Mapping[str, Any]
) -> list[Any] | Mapping[str, Any]:
    """Errors that stand by their entities' endpoint keys, where their entities do."""
    keys = [entity.get(key) if isinstance(entity, dict) else None for entity in entities]
    if not set(found) <= {one for one in keys if isinstance(one, str)}:
        return found
    return [found.get(one) if isinstance(one, str) else None for one in keys]


def _left(kind: str, entity: Any, wrong: Any, flat: Flat) -> Any:
    """Add an entity's errors; answers those of what is no entity."""
    if wrong is None or not isinstance(entity, dict):
        return wrong
    _add(kind, entity, wrong if isinstance(wrong, dict) else {ENTITY: [wrong]}, flat)
    return None


def _add(kind: str, entity: Mapping[str, Any], errors: FieldErrors, flat: Flat) -> None:
    """Items for what is nested in an entity, then one for itself."""
    shown, own = dict(entity), dict(errors)
    given = entity.get("id")
    itself = {"id": given} if isinstance(given, str) and is_uuid(given) else None
    for child, reference in children_of(kind):
        nested = shown.get(child)
        if not isinstance(nested, list) or not all(isinstance(item, dict) for item in nested):
            continue
        del shown[child]
        wrong = own.pop(child, None)
        if isinstance(wrong, list):
            for item, what in zip(nested, wrong, strict=False):
                known = {reference: itself} if itself is not None else {}
                _left(child, {**known, **item}, what, flat)
        elif wrong is not None:
            own[child] = wrong
    for name, target in schema(kind).references.items():
        if isinstance(shown.get(name), dict) and isinstance(own.get(name), dict):
            _left(target, shown.pop(name), own.pop(name), flat)
    if own:
        flat.append(_item(kind, shown, list(_listed(own, ""))))


def _item(kind: str, entity: Mapping[str, Any], errors: Flat) -> dict[str, Any]:
    name, given, tags = entity.get("name"), entity.get("id"), entity.get("tags")
    item: dict[str, Any] = {}
    if isinstance(name, str) and name:
        item["entity_name"] = name
    if isinstance(given, str) and is_uuid(given):
        item["entity_id"] = given
    if isinstance(tags, list) and all(isinstance(tag, str) for tag in tags):
        item["entity_tags"] = tags
    return {**item, "entity_type": schema(kind).entity_name, "entity": entity, "errors": errors}


def _listed(errors: Mapping[str, Any], prefix: str) -> Iterator[dict[str, str]]:
    """Each message, with the path of its field; places in arrays count from 1."""
    for name in sorted(errors):
        error = errors[name]
        if name == ENTITY:
            yield from ({"type": "entity", "message": text} for text in error)
        elif isinstance(error, str):
            yield {"type": "field", "field": f"{prefix}{name}", "message": error}
        elif isinstance(error, dict):
            yield from _listed(error, f"{prefix}{name}.")
        elif isinstance(error, list):
            places = {str(place): item for place, item in enumerate(error, 1) if item is not None}
            yield from _listed(places, f"{prefix}{name}.")
