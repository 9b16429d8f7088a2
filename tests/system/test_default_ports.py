"""The demo's default ports. The only test that uses them, so that none runs beside it."""

import socket

from node.demo import ports


def test_a_taken_default_port_moves_the_demo_to_the_next_free_base() -> None:
    with socket.socket() as blocker:
        blocker.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            blocker.bind((ports.HOST, ports.DEFAULT_BASES[0] + 101))
            blocker.listen()
        except OSError:
            pass  # somebody else takes it: the same case
        base = ports.choose_base(3, None)
    assert base in ports.DEFAULT_BASES[1:]


def test_without_any_free_base_the_error_says_what_to_give() -> None:
    import contextlib

    import pytest

    with contextlib.ExitStack() as taken:
        for base in ports.DEFAULT_BASES:
            blocker = taken.enter_context(socket.socket())
            try:
                blocker.bind((ports.HOST, base))
                blocker.listen()
            except OSError:
                continue
        with pytest.raises(ports.PortsTaken, match="choose a --base-port"):
            ports.choose_base(1, None)
