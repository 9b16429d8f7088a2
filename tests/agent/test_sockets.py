"""The proxy's listening sockets."""

import socket

import pytest

from node.agent.sockets import PortTaken, SlotSockets, bind_patiently
from node.config.listen import ListenAddress


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_each_slot_has_a_socket_of_its_own_on_one_port(host: str) -> None:
    sockets = SlotSockets()
    slots = sockets.bind([ListenAddress(host, 0)], 3)
    names = {bound.getsockname()[:2] for (bound,) in slots}
    assert len(slots) == 3
    assert len(names) == 1
    sockets.keep_only((), 0)
    assert all(bound.fileno() == -1 for (bound,) in slots)


def test_sockets_that_are_still_wanted_are_kept_and_others_closed() -> None:
    sockets = SlotSockets()
    first, second = ListenAddress("127.0.0.1", 0), ListenAddress("::1", 0)
    (before,) = sockets.bind([first, second], 1)
    (kept,), (added,) = sockets.bind([first], 2)
    sockets.keep_only([first], 2)
    assert kept is before[0]
    assert added.getsockname() == kept.getsockname()
    assert before[1].fileno() == -1
    sockets.keep_only((), 0)


def test_a_taken_port_is_named_and_nothing_is_kept() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(PortTaken, match=f"key: 127.0.0.1:{port} can't be bound: another proc"):
            bind_patiently(ListenAddress("127.0.0.1", port), key="key", patience=0)


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_no_connection_begins_any_more_but_those_that_have_begun_go_on(host: str) -> None:
    sockets = SlotSockets()
    ((listening,),) = sockets.bind([ListenAddress(host, 0)], 1)
    listening.listen(8)
    address = listening.getsockname()[:2]
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as early, socket.socket(family) as late:
        early.connect(address)
        sockets.take_no_more()
        early.sendall(b"asked before")
        late.settimeout(0.3)
        with pytest.raises(TimeoutError):  # dropped, not taken; nor refused as yet
            late.connect(address)
        accepted, _ = listening.accept()
        with accepted:
            assert accepted.recv(64) == b"asked before"
            accepted.sendall(b"answered")
            assert early.recv(64) == b"answered"
    sockets.keep_only((), 0)


def test_a_node_that_does_not_proxy_has_no_slots() -> None:
    sockets = SlotSockets()
    assert sockets.bind([], 4) == []
    listen = ListenAddress("127.0.0.1", 0)
    assert len(sockets.bind([listen], 4)) == 4
    assert sockets.bind([], 4) == []
    sockets.keep_only((), 0)
