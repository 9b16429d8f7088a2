"""What workers are sent of a changeset."""

from node.agent.hot import hot
from node.channel import Change


def test_workers_are_sent_no_consumers_and_credentials() -> None:
    routing: list[Change] = [
        ("services", "1", "{}"),
        ("plugins", "2", "{}"),
        ("certificates", "3", None),
    ]
    people: list[Change] = [
        ("consumers", "4", "{}"),
        ("keyauth_credentials", "5", None),
        ("acls", "6", "{}"),
    ]
    newer: list[Change] = [("of a newer version", "7", "{}")]
    assert list(hot(people + routing + newer)) == routing + newer
