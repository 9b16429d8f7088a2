"""Addresses as text."""

import pytest

from gossip.address import format_address, parse_address, reachable_host, split_host_port


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("127.0.0.1:8005", ("127.0.0.1", 8005)),
        ("[::1]:8005", ("::1", 8005)),
        ("[2001:db8::1]:1", ("2001:db8::1", 1)),
        ("0.0.0.0:65535", ("0.0.0.0", 65535)),
    ],
)
def test_addresses_are_read_as_they_are_printed(text: str, address: tuple[str, int]) -> None:
    assert parse_address(text) == address
    assert format_address(address) == text


def test_an_ipv6_host_is_brought_to_its_canonical_spelling() -> None:
    assert parse_address("[2001:DB8:0::1]:8005") == ("2001:db8::1", 8005)


@pytest.mark.parametrize(
    "text", ["", "gw1", ":8005", "gw1:", "gw1:0", "gw1:65536", "gw1:x", "gw1:-1", "gw1:８"]
)
def test_what_is_not_host_and_port_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(ValueError, match=r"is not host:port; give for example 10\.0\.0\.5:8005"):
        split_host_port(text)


def test_an_ipv6_host_without_brackets_is_refused() -> None:
    with pytest.raises(ValueError, match="needs brackets"):
        split_host_port("::1:8005")


def test_a_name_is_fine_for_a_seed_and_not_for_a_listener() -> None:
    assert split_host_port("gw1:8005") == ("gw1", 8005)
    with pytest.raises(ValueError, match="'gw1' is not a numeric IP address"):
        parse_address("gw1:8005")


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "224.0.0.251", "ff02::1"])
def test_an_address_of_nobody_in_particular_is_refused(host: str) -> None:
    with pytest.raises(ValueError, match="not the address of one host"):
        reachable_host(host)
