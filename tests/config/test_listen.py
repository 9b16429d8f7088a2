"""Addresses and listeners."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.config.listen import HostPort, ListenAddress, parse_host_port, parse_listeners


@pytest.mark.parametrize(
    ("text", "host", "port", "printed"),
    [
        ("127.0.0.1:8000", "127.0.0.1", 8000, "127.0.0.1:8000"),
        ("[::]:8000", "::", 8000, "[::]:8000"),
        ("[2001:DB8:0::1]:65535", "2001:db8::1", 65535, "[2001:db8::1]:65535"),
        ("gw1.example.com:8005", "gw1.example.com", 8005, "gw1.example.com:8005"),
        ("localhost:0", "localhost", 0, "localhost:0"),
        ("kong_node-1:8005", "kong_node-1", 8005, "kong_node-1:8005"),
    ],
)
def test_host_and_port_are_read_and_printed(text: str, host: str, port: int, printed: str) -> None:
    assert parse_host_port(text) == HostPort(host, port)
    assert str(parse_host_port(text)) == printed


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("localhost", "names no port; write host:port"),
        ("[::1]", "names no port"),
        ("::1", r"is IPv6 without brackets; write \[::1\]:port"),
        ("::1:8000", "is IPv6 without brackets"),
        ("[::1:8000", "brackets that don't close"),
        ("[::1]8000", "brackets that don't close"),
        ("[127.0.0.1]:8000", "which is no IPv6 address"),
        ("1.2.3:80", "which is no IPv4 address"),
        ("256.0.0.1:80", "which is no IPv4 address"),
        (":8000", "names no host"),
        ("", "names no host"),
        ("host:", "has port ''"),
        ("host:65536", "a port is a number from 0 to 65535"),
        ("host:-1", "a port is a number"),
        ("host:٣", "a port is a number"),
        ("ho st:1", "which is no host name"),
        ("-host:1", "which is no host name"),
        ("a" * 64 + ":1", "which is no host name"),
        ("http://host:1", "IPv6 without brackets"),
    ],
)
def test_what_is_no_address_says_why(text: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        parse_host_port(text)


@pytest.mark.parametrize(
    ("host", "loopback"),
    [
        ("127.0.0.1", True),
        ("127.9.9.9", True),
        ("::1", True),
        ("localhost", True),
        ("0.0.0.0", False),
        ("::", False),
        ("10.0.0.1", False),
        ("gw1", False),
    ],
)
def test_loopback_is_told_apart(host: str, loopback: bool) -> None:
    assert HostPort(host, 1).is_loopback is loopback


def test_off_is_no_listener() -> None:
    assert parse_listeners("off") == ()


def test_suffixes_of_kong_are_accepted() -> None:
    text = (
        "0.0.0.0:8443 http2 ssl reuseport backlog=511, "
        "[::1]:8000 proxy_protocol deferred bind ipv6only=off so_keepalive=30m::10"
    )
    tls, plain = parse_listeners(text)
    assert tls == ListenAddress("0.0.0.0", 8443, ssl=True, http2=True, reuseport=True, backlog=511)
    assert (plain.host, plain.port, plain.ipv6only, plain.so_keepalive) == (
        "::1",
        8000,
        False,
        "30m::10",
    )
    assert plain.proxy_protocol
    assert plain.deferred
    assert plain.bind


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "names no listener"),
        (",", "names no listener"),
        ("8000", "no IPv4 address"),
        ("localhost", "'localhost' names no port"),
        ("off, 0.0.0.0:8000", "mixes `off` with listeners"),
        ("0.0.0.0:8000 tls", "suffix 'tls', which is unknown"),
        ("0.0.0.0:8000 backlog=0", "suffix 'backlog=0'"),
        ("0.0.0.0:8000 backlog=1e3", "suffix 'backlog=1e3'"),
        ("0.0.0.0:8000, 0.0.0.0:8000 ssl", "names 0.0.0.0:8000 twice"),
        (", ".join(f"127.0.0.1:{port}" for port in range(1, 2000)), "1024 are allowed"),
    ],
)
def test_what_is_no_listener_says_why(text: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        parse_listeners(text)


def test_any_free_port_may_be_named_twice() -> None:
    assert len(parse_listeners("127.0.0.1:0, 127.0.0.1:0")) == 2


@pytest.mark.parametrize(
    "text",
    [
        "0.0.0.0:8000",
        "[::]:8443 ssl http2 reuseport backlog=1 ipv6only=off so_keepalive=on",
        "localhost:1 proxy_protocol deferred bind",
    ],
)
def test_a_printed_listener_reads_back(text: str) -> None:
    (listener,) = parse_listeners(text)
    assert parse_listeners(str(listener)) == (listener,)


def test_a_listener_moves_to_another_port() -> None:
    (listener,) = parse_listeners("[::1]:0 ssl")
    assert str(listener.with_port(8443)) == "[::1]:8443 ssl"


@given(st.text(max_size=60))
def test_any_text_is_refused_or_reads_back(text: str) -> None:
    try:
        listeners = parse_listeners(text)
    except ValueError:
        return
    assert parse_listeners(", ".join(map(str, listeners)) or "off") == listeners
