"""/openapi.json: the API as it is, which a fuzzer that reads it finds to be true."""

import asyncio
import re
import sys
from pathlib import Path
from typing import Any

import pytest

from node.admin.app import create_admin_app
from node.admin.openapi import document
from store import schema as schemas
from tests.admin.client import Client
from tests.admin.small_node import SmallNode

CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_schema_conformance",
)
LEFT_OUT = "cluster/(leave|events|nodes|keys)"
"""What never ends, ends the node, or needs gossip, in which this node takes no part."""


def references(part: Any) -> list[str]:
    if isinstance(part, dict):
        here = [part["$ref"]] if isinstance(part.get("$ref"), str) else []
        return here + [found for value in part.values() for found in references(value)]
    if isinstance(part, list):
        return [found for value in part for found in references(value)]
    return []


async def test_every_path_and_method_is_described(node: SmallNode) -> None:
    app = create_admin_app(node)
    paths = document(app, "1.2.3")["paths"]
    for resource in app.router.resources():
        described = paths[resource.canonical.rstrip("/") or "/"]
        methods = {route.method.lower() for route in resource} - {"head"}
        assert methods == described.keys() - {"parameters"}


async def test_everything_that_is_referred_to_is_there(admin: Client) -> None:
    answer = await admin.get("/openapi.json")
    assert answer.status == 200
    whole = answer.json
    assert whole["openapi"] == "3.1.0"
    found = references(whole)
    assert "#/components/schemas/services_new" in found
    for reference in set(found):
        part = whole
        for name in reference.removeprefix("#/").split("/"):
            part = part[name]


@pytest.mark.parametrize("kind", [kind for kind in schemas.kinds() if kind != "plugins"])
async def test_what_a_kind_demands_is_required(node: SmallNode, kind: str) -> None:
    new = document(create_admin_app(node), "1")["components"]["schemas"][f"{kind}_new"]
    schema = schemas.schema(kind)
    shown = {name for name, field in schema.fields.items() if not field.internal}
    assert new["properties"].keys() == shown | schema.shorthands.keys()
    for name in new.get("required", ()):
        field = schema.fields[name]
        assert field.required
        assert not field.auto


@pytest.mark.long
async def test_a_fuzzer_that_reads_the_document_finds_it_true(
    admin: Client, tmp_path: Path
) -> None:
    """Statuses, types and shapes of all answers; bodies are good and bad ones."""
    command = (
        str(Path(sys.executable).with_name("schemathesis")),
        "run",
        f"{admin.base}/openapi.json",
        f"--checks={','.join(CHECKS)}",
        f"--exclude-path-regex={LEFT_OUT}",
        "--phases=fuzzing",
        "--max-examples=2",
        "--generation-deterministic",
        "--no-color",
    )
    process = await asyncio.create_subprocess_exec(
        *command,
        cwd=tmp_path,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        output, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
    text = output.decode(errors="replace")
    found = "\n".join(line[:200] for line in text.splitlines())
    assert process.returncode == 0, found[found.find("FAILURES") :][:10_000]
    tested = re.search(r"Tested: (\d+)", found)
    assert tested is not None
    assert int(tested[1]) > 250
