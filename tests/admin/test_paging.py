"""Lists: pages, offsets, sizes and tags."""

import base64
import itertools
import json

import pytest

from node.admin.limits import OFFSET_CHARS_MAX
from node.admin.paging import decode_offset, encode_offset
from tests.admin.client import Client

ID = "8f5c1c7e-1111-4222-8333-0123456789ab"


async def test_pages_follow_each_other_by_next_until_it_is_null(admin: Client) -> None:
    made = {(await admin.make_service(f"s{i}"))["id"] for i in range(5)}
    path, seen, sizes = "/services?size=2", [], []
    while path:
        page = (await admin.get(path)).json
        seen += [service["id"] for service in page["data"]]
        sizes.append(len(page["data"]))
        assert ("offset" in page) is (page["next"] is not None)
        path = page["next"]
    assert sizes == [2, 2, 1]
    assert seen == sorted(made)


async def test_next_repeats_tags_and_size(admin: Client) -> None:
    for i in range(2):
        await admin.make_service(f"s{i}", tags=["a b", "c"])
    page = (await admin.get("/services?size=1&tags=a%20b,c")).json
    assert page["next"] == f"/services?offset={page['offset']}&tags=a%20b%2Cc&size=1"
    assert len((await admin.get(page["next"])).json["data"]) == 1


@pytest.mark.parametrize(
    ("tags", "names"),
    [("a", {"x", "y"}), ("a,b", {"y"}), ("a/b", {"x", "y", "z"}), ("c", set()), ("b,", {"y", "z"})],
)
async def test_tags_filter_by_all_or_by_any(admin: Client, tags: str, names: set[str]) -> None:
    for name, own in (("x", ["a"]), ("y", ["a", "b"]), ("z", ["b"])):
        await admin.make_service(name, tags=own)
    page = (await admin.get("/services", params={"tags": tags})).json
    assert {service["name"] for service in page["data"]} == names


@pytest.mark.parametrize("tags", ["a,b/c", "", ",", "/a", "a,,b", "a,b,c,d,e,f", "a\nb"])
async def test_a_bad_tags_filter_is_400_code_11_with_options(admin: Client, tags: str) -> None:
    answer = await admin.get("/services", params={"tags": tags})
    assert answer.status == 400
    assert (answer.json["code"], answer.json["name"]) == (11, "invalid options")
    assert answer.json["message"].startswith("invalid option (tags: ")
    assert set(answer.json["options"]) == {"tags"}


@pytest.mark.parametrize(
    ("size", "message"),
    [
        ("x", "size must be a number"),
        ("", "size must be a number"),
        ("0", "size must be an integer between 1 and 1000"),
        ("-1", "size must be an integer between 1 and 1000"),
        ("1001", "size must be an integer between 1 and 1000"),
        ("1.5", "size must be an integer between 1 and 1000"),
        ("nan", "size must be an integer between 1 and 1000"),
        ("inf", "size must be an integer between 1 and 1000"),
        ("1" * 5000, "size must be an integer between 1 and 1000"),
    ],
)
async def test_a_bad_size_is_400_code_9(admin: Client, size: str, message: str) -> None:
    answer = await admin.get("/services", params={"size": size})
    assert answer.status == 400
    assert answer.json == {"code": 9, "name": "invalid size", "message": message}


def encoded(value: object) -> str:
    return base64.b64encode(json.dumps(value).encode()).decode().rstrip("=")


@pytest.mark.parametrize(
    ("offset", "reason"),
    [
        ("x", "bad base64 encoding"),
        ("|potato|", "bad base64 encoding"),
        ("é", "bad base64 encoding"),
        ("aGVsbG8", "bad json encoding"),
        ("//79", "bad json encoding"),
        (encoded([]), "not the key of an entity"),
        (encoded(["x"]), "not the key of an entity"),
        (encoded([1]), "not the key of an entity"),
        (encoded({"id": ID}), "not the key of an entity"),
    ],
)
async def test_a_bad_offset_is_400_code_7(admin: Client, offset: str, reason: str) -> None:
    answer = await admin.get("/services", params={"offset": offset})
    assert answer.status == 400
    assert answer.json == {
        "code": 7,
        "name": "invalid offset",
        "message": f"'{offset}' is not a valid offset: {reason}",
    }


async def test_an_overlong_offset_is_cut_in_the_message(admin: Client) -> None:
    answer = await admin.get("/services", params={"offset": "A" * (OFFSET_CHARS_MAX + 1)})
    assert (answer.status, answer.json["code"]) == (400, 7)
    assert len(answer.json["message"]) < 120


def test_an_offset_is_unpadded_base64_of_the_key_in_an_array() -> None:
    assert encode_offset(ID) == encoded([ID])
    assert "=" not in encode_offset(ID)
    assert decode_offset(encode_offset(ID)) == ID
    assert decode_offset(encode_offset(ID.upper())) == ID


async def test_what_stays_is_listed_once_whatever_is_written_meanwhile(admin: Client) -> None:
    made = [await admin.make_service(f"s{number}", tags=["t"]) for number in range(12)]
    stays, goes = made[::2], made[1::2]
    seen: list[str] = []
    path = "/services?size=2&tags=t"
    for number in itertools.count():
        page = (await admin.get(path)).json
        seen += [one["id"] for one in page["data"]]
        path = page["next"]
        if path is None:
            break
        if goes:
            await admin.delete(f"/services/{goes.pop()['id']}")
        if number < 6:
            await admin.make_service(f"n{number}", tags=["t"])
        await admin.patch(f"/services/{stays[0]['id']}", json={"retries": number})
    assert len(seen) == len(set(seen))
    assert {one["id"] for one in stays} <= set(seen)
