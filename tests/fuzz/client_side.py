"""One client connection of the proxy without sockets, gateway and upstreams: what it takes for
requests, and what it refuses."""

from types import SimpleNamespace
from typing import Any, NamedTuple, cast
from unittest.mock import patch

from node.proxy import downstream
from node.proxy.dispatch import Decision
from node.proxy.downstream import Downstream
from node.proxy.heads import RequestHead


class Asked(NamedTuple):
    """A request that was taken."""

    head: tuple[object, ...]
    """Its head, but for what is remembered beside it."""
    body: bytes
    complete: bool
    failed: int
    """The status that it was refused with because of its body; 0: it wasn't."""


class Taken(NamedTuple):
    """What came of some bytes."""

    asked: list[Asked]
    refused: list[int]
    """Statuses of what was no request."""
    closing: bool


class _Exchange:
    """Takes a request to its end, and lets it wait for its answer if that is wished for."""

    def __init__(self, client: Downstream, decision: Decision, *_: object) -> None:
        self.client = client
        self.head: RequestHead = decision.head
        self.request_complete = not self.head.has_body
        self.finished = self.started = False
        self.body = bytearray()
        self.failed = 0
        self.gateway = cast("Any", client.gateway)
        self.gateway.asked.append(self)

    def start(self) -> None:
        self.started = True
        if self.request_complete:
            self._answer()

    def request_data(self, payload: bytes) -> None:
        assert payload
        assert not self.request_complete, "nothing comes after a request's end"
        self.body += payload

    def request_end(self) -> None:
        assert not self.request_complete
        self.request_complete = True
        if self.started:
            self._answer()

    def _answer(self) -> None:
        if self.gateway.late:
            self.gateway.waiting.append(self)
        else:
            self.end()

    def end(self) -> None:
        self.finished = True
        self.client.exchange_done(self.client.may_keep_alive())

    def fail(self, status: int) -> None:
        self.failed = status
        self.finished = True
        self.client.exchange_done(False)

    def client_lost(self) -> None:
        self.finished = True

    def shown(self) -> Asked:
        # How much of a body came before what is wrong with it depends on the pieces.
        body = b"" if self.failed else bytes(self.body)
        return Asked(self.head[:-1], body, self.request_complete, self.failed)


class _Transport:
    def __init__(self) -> None:
        self.closing = False

    def is_closing(self) -> bool:
        return self.closing

    def close(self) -> None:
        self.closing = True

    def write(self, data: bytes) -> None: ...
    def pause_reading(self) -> None: ...
    def resume_reading(self) -> None: ...
    def set_write_buffer_limits(self, *_: int) -> None: ...

    def can_write_eof(self) -> bool:
        return False

    def get_write_buffer_size(self) -> int:
        return 0

    def get_extra_info(self, _: str) -> None:
        return None


def _gateway(late: bool) -> Any:
    refused: list[int] = []

    def answer(status: int, *_: object) -> bytes:
        refused.append(status)
        return b""

    table = SimpleNamespace(edition=object())
    return SimpleNamespace(
        late=late,
        asked=[],
        waiting=[],
        refused=refused,
        table=table,
        stats=SimpleNamespace(
            connections_accepted=0, connections_active=0, requests_malformed=0,
            total_requests=0,
            count_response=lambda status: None,
        ),
        clients=set(),
        clients_max=1,
        draining=False,
        loop=SimpleNamespace(time=lambda: 0.0),
        wheel=SimpleNamespace(arm=lambda *_: None, disarm=lambda _: None),
        trust=SimpleNamespace(trusts=lambda _: False),
        # No fast path: what is sent on and answered is another target's.
        settings=SimpleNamespace(allow_debug_header=True),
        decide=lambda head, _: Decision(head, table.edition),
        new_request_id=lambda: b"",
        access_log=SimpleNamespace(enabled=False),
        annotations=SimpleNamespace(answer=answer),
    )  # fmt: skip


def take(pieces: list[bytes], *, late: bool) -> Taken:
    """Let these bytes arrive. ``late``: a request is answered only after the piece that it came
    with was read, so that what follows in it has to wait."""
    gateway, transport = _gateway(late), _Transport()
    with patch.object(downstream, "Exchange", _Exchange):
        client = Downstream(gateway, cast("Any", SimpleNamespace(port=8000)))
        client.connection_made(cast("Any", transport))
        for piece in filter(None, pieces):
            if transport.closing:
                break
            client.data_received(piece)
            while gateway.waiting:
                gateway.waiting.pop(0).end()
        client.connection_lost(None)
    asked = [exchange.shown() for exchange in gateway.asked]
    return Taken(asked, gateway.refused, transport.closing)
