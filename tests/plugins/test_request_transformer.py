"""request-transformer: what becomes of a request's parts, and of the templates in values."""

import json
from typing import Any

import pytest

from node.plugins.context import Context
from node.plugins.templates import Template, TemplateRefused
from store.schema.plugins import plugin_schema
from tests.plugins.harness import SmallWorker, context_of, head, one, run_access

JSON = "Content-Type: application/json"
FORM = "Content-Type: application/x-www-form-urlencoded; charset=utf-8"


def transformed(
    config: dict[str, Any],
    target: str = "/",
    *fields: str,
    method: str = "GET",
    body: bytes | None = None,
    captures: dict[str | int, str] | None = None,
) -> Context:
    worker = SmallWorker()
    request = head(target, *fields, method=method, body=body)
    context = context_of(request, worker, body or b"", captures)
    _, outcome = run_access(context, one("request-transformer", worker, **config))
    assert outcome is None, worker.log.lines
    return context


def headers_of(context: Context) -> dict[str, list[str]]:
    return {name: context.headers.all(name) for name in context.headers.names() if name != "host"}


@pytest.mark.parametrize(
    ("config", "fields", "headers"),
    [
        ({"remove": {"headers": ["X-A"]}}, ["x-a: 1", "x-b: 2"], {"x-b": ["2"]}),
        ({"rename": {"headers": ["x-a:X-B"]}}, ["X-A: 1", "x-b: 2"], {"x-b": ["1"]}),
        ({"rename": {"headers": ["x-a:x-b"]}}, ["x-b: 2"], {"x-b": ["2"]}),
        ({"replace": {"headers": ["x-a:n"]}}, ["X-A: 1", "X-A: 2"], {"x-a": ["n"]}),
        ({"replace": {"headers": ["x-a:n"]}}, [], {}),
        ({"add": {"headers": ["x-a:n"]}}, ["x-a: 1"], {"x-a": ["1"]}),
        ({"add": {"headers": ["x-a:b:c"]}}, [], {"x-a": ["b:c"]}),
        ({"append": {"headers": ["x-a:n"]}}, ["x-a: 1"], {"x-a": ["1", "n"]}),
        ({"append": {"headers": ["x-a:n", "x-a:m"]}}, [], {"x-a": ["n", "m"]}),
        (
            {
                "remove": {"headers": ["x-a"]},
                "rename": {"headers": ["x-b:x-c"]},
                "replace": {"headers": ["x-c:2"]},
                "add": {"headers": ["x-a:3"]},
                "append": {"headers": ["x-a:4"]},
            },
            ["x-a: 0", "x-b: 1"],
            {"x-a": ["3", "4"], "x-c": ["2"]},
        ),
        ({"add": {"headers": ["content-length:99", "connection:x"]}}, [], {}),
    ],
)
def test_headers(config: dict[str, Any], fields: list[str], headers: dict[str, list[str]]) -> None:
    assert headers_of(transformed(config, "/", *fields)) == headers


def test_only_replacing_changes_the_host() -> None:
    changes = {change: {"headers": ["host:b.test"]} for change in ("add", "append")}
    context = transformed({**changes, "remove": {"headers": ["host"]}})
    assert (context.outgoing.host, context.headers.get("host")) == (None, "a.test")
    context = transformed({"replace": {"headers": ["Host:b.test"]}})
    assert context.outgoing.host == b"b.test"


@pytest.mark.parametrize(
    ("config", "query", "after"),
    [
        ({"remove": {"querystring": ["a"]}}, "a=1&b=2&a=3", "b=2"),
        ({"rename": {"querystring": ["a:c"]}}, "a=1&b=2&c=3", "c=1&b=2"),
        ({"replace": {"querystring": ["a:n", "x:n"]}}, "z=0&a=1&b=2", "z=0&a=n&b=2"),
        ({"add": {"querystring": ["a:n", "b:m"]}}, "a=1", "a=1&b=m"),
        ({"append": {"querystring": ["a:n"]}}, "a=1&b=2", "a=1&b=2&a=n"),
        ({"add": {"querystring": ["q:a b&c=d"]}}, "", "q=a%20b%26c%3Dd"),
        ({"add": {"headers": ["x:y"]}}, "a=%7e+&b", "a=%7e+&b"),
        ({"add": {"querystring": ["c:1"]}}, "a=%7e+&b&&d=", "a=~%20&b&d=&c=1"),
    ],
)
def test_the_query(config: dict[str, Any], query: str, after: str) -> None:
    changed = transformed(config, f"/?{query}" if query else "/").edited_head().query
    assert changed == (f"?{after}".encode() if after else b"")


@pytest.mark.parametrize(
    ("config", "before", "after"),
    [
        ({"remove": {"body": ["a"]}}, {"a": 1, "b": {"c": 2}}, {"b": {"c": 2}}),
        ({"rename": {"body": ["a:b"]}}, {"a": [1], "b": 2}, {"b": [1]}),
        ({"replace": {"body": ["a:n", "x:n"]}}, {"a": 1}, {"a": "n"}),
        ({"add": {"body": ["a:n", "b:m"]}}, {"a": None}, {"a": None, "b": "m"}),
        ({"append": {"body": ["a:n"]}}, {"a": "1"}, {"a": ["1", "n"]}),
        ({"append": {"body": ["a:n"]}}, {"a": ["1", 2]}, {"a": ["1", 2, "n"]}),
        ({"append": {"body": ["a:n"]}}, {}, {"a": ["n"]}),
    ],
)
def test_a_json_body(config: dict[str, Any], before: object, after: object) -> None:
    body = json.dumps(before).encode()
    context = transformed(config, "/", JSON, method="POST", body=body)
    assert context.outgoing.body is not None
    assert json.loads(context.outgoing.body) == after


@pytest.mark.parametrize("body", [b"[1]", b"{", b"5", b'{"a":' * 100 + b"1" + b"}" * 100, b"\xff"])
def test_a_body_that_is_no_object_stays_as_it_is(body: bytes) -> None:
    context = transformed({"add": {"body": ["x:y"]}}, "/", JSON, method="POST", body=body)
    assert context.outgoing.body is None


def test_without_a_body_there_is_something_to_add_but_nothing_to_change() -> None:
    config = {"add": {"body": ["a:1"]}, "replace": {"body": ["a:2"]}}
    assert transformed(config, "/", JSON).outgoing.body == b'{"a":"1"}'
    assert transformed(config, "/").outgoing.body is None


def test_a_form() -> None:
    config = {
        "remove": {"body": ["a"]},
        "rename": {"body": ["b:c"]},
        "add": {"body": ["d:4 5"]},
    }
    context = transformed(config, "/", FORM, method="POST", body=b"a=1&b=2&e=%20+")
    assert context.outgoing.body == b"c=2&e=%20%20&d=4%205"


def test_the_method_and_a_form_that_has_to_become_a_query() -> None:
    config = {"http_method": "GET"}
    context = transformed(config, "/?a=1", FORM, method="POST", body=b"a=2&b=3")
    changed = context.edited_head()
    assert (changed.method, changed.query) == (b"GET", b"?a=1&a=2&b=3")
    context = transformed({"http_method": "POST"}, "/?a=1")
    assert (context.edited_head().method, context.edited_head().query) == (b"POST", b"?a=1")


def test_the_path_is_built_of_what_the_routes_expression_caught() -> None:
    config = {"replace": {"uri": "/v2/$(uri_captures['user'])/$(uri_captures[2])"}}
    context = transformed(config, captures={"user": "ä b", 2: "x"})
    assert context.outgoing.path == b"/v2/%C3%A4%20b/x"


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("plain (text) $ )", "plain (text) $ )"),
        ("$(headers.x_own)", "v"),
        ("$(headers['X-Own'])", "v"),
        ("a$(headers.x_own)b$(query_params.q)c", "avb1c"),
        ("$(headers.none)", ""),
        ("$(headers.none or 'd')", "d"),
        ("$( headers.none or query_params.q or 'd' )", "1"),
        ("$(headers.x_own and 'yes' or 'no')", "yes"),
        ("$(headers.none and 'yes' or 'no')", "no"),
        ('$("a" .. headers.x_own .. (query_params["q"]) .. 7)', "av17"),
        ("$(query_params.flag)", "true"),
        ("$(uri_captures.user)", "u"),
        ("$(uri_captures[1])", "u"),
        ("$(shared.a.b)", "deep"),
        ("$(shared.a.none.b)", ""),
        (r"$('it\'s')", "it's"),
        ("$(nil)", ""),
        ("#if x", "#if x"),
    ],
)
def test_templates(text: str, value: str) -> None:
    captures: dict[str | int, str] = {"user": "u", 1: "u"}
    context = context_of(head("/?q=1&flag", "X-Own: v"), SmallWorker(), captures=captures)
    context.shared["a"] = {"b": "deep"}
    assert Template(text).render(context) == value


@pytest.mark.parametrize(
    "text",
    [
        "$(os.getenv('HOME'))",
        "$(headers)",
        "$(headers.a.b)",
        "$(headers.x:upper())",
        "$((function() return 1 end)())",
        "$(1 + 1)",
        "$(headers.x == 'a')",
        "$(headers.x",
        "$(headers[x])",
        "$()",
        "$('a",
        "$(" + "(" * 200 + "'a'" + ")" * 200 + ")",
        "$(" + "'a' .. " * 5_000 + "'b')",
    ],
)
def test_more_than_a_template_may_say_is_refused(text: str) -> None:
    with pytest.raises(TemplateRefused):
        Template(text)


def test_what_is_refused_is_refused_when_it_is_configured() -> None:
    from node.plugins.bundled.request_transformer import PLUGIN

    schema = plugin_schema("request-transformer")
    assert schema is PLUGIN.schema
    for config in (
        {"add": {"headers": ["x:$(os.time())"]}},
        {"rename": {"body": ["x:$(f())"]}},
        {"replace": {"uri": "/$(x)"}},
    ):
        problem = PLUGIN.problem(config)
        assert problem is not None
        assert "is more than can be evaluated here" in problem


def test_what_a_client_sends_can_not_end_a_line_of_the_head() -> None:
    config = {"add": {"headers": ["x-a:$(query_params.q)"]}}
    context = transformed(config, "/?q=1%0d%0aX-Admin:%20yes%00")
    assert context.edited_head().plain == ((b"x-a", b"1%0D%0AX-Admin: yes%00"),)


def test_a_path_that_is_none_is_our_mistake() -> None:
    worker = SmallWorker()
    held = one("request-transformer", worker, replace={"uri": "$(query_params.p)"})
    _, outcome = run_access(context_of(head("/?p=x"), worker), held)
    assert outcome is not None
    assert outcome.status == 500
