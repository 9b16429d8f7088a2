"""Single values: what is read, what is refused, and with which words."""

import base64
from typing import Any

import pytest

from node.config import values
from node.config.plugins import plugin_names

KEY = base64.b64encode(bytes(range(32))).decode()


@pytest.mark.parametrize(
    ("parse", "text", "value"),
    [
        (values.boolean, "on", True),
        (values.boolean, "TRUE", True),
        (values.boolean, "off", False),
        (values.boolean, "false", False),
        (values.integer(1, 10), "10", 10),
        (values.seconds(0), "0.25", 0.25),
        (values.size, "8k", 8 * 1024),
        (values.size, "10M", 10 * 1024 * 1024),
        (values.size, "1g", 1024**3),
        (values.size, "0", 0),
        (values.items, "a, b ,,c", ("a", "b", "c")),
        (values.items, "", ()),
        (values.name, "gw-1.example_A", "gw-1.example_A"),
        (values.processes, "4", 4),
        (
            values.trusted_addresses,
            "10.0.0.7/8, ::1, 1.2.3.4, unix:",
            ("10.0.0.0/8", "::1/128", "1.2.3.4/32", "unix:"),
        ),
        (values.header_name, "X-Forwarded-For", "X-Forwarded-For"),
        (values.words_of("via", "server"), "Via, SERVER", ("via", "server")),
        (values.words_of("via"), "off", ()),
        (values.seeds, "gw1, [::1]:9, gw1:8005", ("gw1:8005", "[::1]:9")),
        (values.cluster_key, KEY, bytes(range(32))),
        (values.url, "https://gw.example.com:8445/x", "https://gw.example.com:8445/x"),
        (values.origins, "https://Example.com/, *", ("https://example.com", "*")),
        (values.log_destination, "/var/log/my logs/access.log", "/var/log/my logs/access.log"),
        (values.optional(values.url), "", ""),
        (values.token, "t" * 16, "t" * 16),
        (plugin_names, "bundled, key-auth", ("bundled", "key-auth")),
        (plugin_names, "off", ()),
        (plugin_names, "off, key-auth", ()),
        (plugin_names, "key-auth, off, basic-auth", ("key-auth", "basic-auth")),
    ],
)
def test_a_value_is_read(parse: values.Parser[Any], text: str, value: Any) -> None:
    assert parse(text) == value


@pytest.mark.parametrize(
    ("parse", "text", "reason"),
    [
        (values.boolean, "maybe", "is neither `on` nor `off`"),
        (values.boolean, "1", "is neither `on` nor `off`"),
        (values.integer(1, 10), "11", "is no whole number from 1 to 10"),
        (values.integer(1, 10), "1.0", "is no whole number"),
        (values.integer(1, 10), "٣", "is no whole number"),
        (values.integer(1, 10), "1" * 5000, "is no whole number"),
        (values.seconds(0), "-1", "is no number of seconds from 0"),
        (values.seconds(0), "nan", "is no number of seconds"),
        (values.seconds(0), "inf", "is no number of seconds"),
        (values.seconds(0), "5s", "is no number of seconds"),
        (values.size, "8kb", "is no size"),
        (values.size, "-1", "is no size"),
        (values.choice("a", "b"), "c", "is none of a, b"),
        (values.items, "x," * 1025, "has 1025 items; 1024 are allowed"),
        (values.name, "gw~1", "is no name"),
        (values.name, "gw 1", "is no name"),
        (values.name, "x" * 129, "at most 128"),
        (values.path, "x" * 5000, "is a path of 5000 characters"),
        (values.processes, "0", "from 1 to 1024, nor `auto`"),
        (values.processes, "many", "nor `auto`"),
        (values.trusted_addresses, "10.0.0.0/33", "has '10.0.0.0/33', which is no address"),
        (values.header_name, "X Real", "is no header name"),
        (values.words_of("via"), "vai", "has 'vai', which is none of via, off"),
        (values.host_port, "gw1:0", "has port 0"),
        (values.seeds, "gw1, ::1", "'::1' is IPv6 without brackets"),
        (values.cluster_key, "!", "is no base64; `grapevine cluster keygen` makes a key"),
        (values.cluster_key, "c2hvcnQ=", "is a key of 5 bytes; 32 are needed"),
        (values.url, "ftp://x", "is no URL"),
        (values.url, "http://[::1", "is no URL"),
        (values.url, "http://a b", "is no URL"),
        (values.origins, "https://example.com/path", "an origin is scheme://host:port"),
        (values.database, "cassandra", "is gone since Kong 3.4; use postgres or sqlite"),
        (values.database, "mysql", "is none of sqlite, postgres, off"),
        (values.router_flavor, "expressions", "is not built; use traditional_compatible"),
        (values.log_destination, "logs/access.log basic", "name a path alone"),
        (values.token, "short", "write 16 to 1024"),
        (values.token, "t" * 16 + "\n", "write 16 to 1024"),
        (plugin_names, "key-auht", "has 'key-auht', which is neither one of Kong's"),
    ],
)
def test_a_value_is_refused_with_the_way_out(
    parse: values.Parser[Any], text: str, reason: str
) -> None:
    with pytest.raises(ValueError) as refused:  # noqa: PT011 - the text is compared below
        parse(text)
    assert reason in str(refused.value)


def test_auto_is_at_least_one_process() -> None:
    assert values.processes("auto") >= 1
