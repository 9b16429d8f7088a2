"""Answers on their way through the plugins, in the forms that the data plane has them in."""

from node.plugins.context import Asker, Facts
from node.plugins.fields import Pair, bytes_of
from node.plugins.phases import Phases
from node.proxy import errors, forwarded
from node.proxy.forwarded import Peer, Trust
from node.proxy.framing import ResponseHead
from node.proxy.heads import RequestHead
from node.proxy.response import BodyFilter

_BODILESS = (204, 304)


def asker(peer: Peer, head: RequestHead, trust: Trust) -> Asker:
    """Where a request came from, for plugins."""
    asker = head.remembered.asker
    if asker is None:
        asker = head.remembered.asker = Asker(
            trust.client_address(peer, head).decode(),
            forwarded.scheme(peer, head).decode("latin-1"),
            peer.listener_port,
        )
    return asker


def lines_to_add(phases: Phases, head: ResponseHead) -> bytes | None:
    """What plugins add to an upstream's final head, as lines, if that is all that they do to the
    response; else None."""
    chain, response = phases.chain, phases.context.response
    if chain.header_filter or chain.body_filter:
        return None
    lines = response.lines_beside(head.names)
    if lines is not None:
        response.begin(head.status, lambda: _pairs(head.lines), "service")
    return lines


def filter_head(phases: Phases, head: ResponseHead) -> tuple[ResponseHead, BodyFilter | None]:
    """What plugins make of an upstream's final head, and what they do with its body.

    Raises PluginFailed.
    """
    response = phases.context.response
    phases.filter_head(head.status, lambda: _pairs(head.lines), "service")
    if response.edited:
        head = head.with_lines([b"%b: %b" % pair for pair in response.pairs])
    status = response.status
    if status != head.status and 200 <= status <= 599 and not {status, head.status} & {*_BODILESS}:
        line = f"{status} {errors.reason_phrase(status)}".encode()
        head = head._replace(status=status, status_line=line)
    return head, phases.filter_body if phases.chain.body_filter else None


def filter_answer(
    phases: Phases,
    status: int,
    fields: tuple[tuple[str, str], ...],
    body: bytes,
    kind: str,
    source: str,
) -> tuple[int, tuple[tuple[str, str], ...], bytes]:
    """What plugins make of an answer of our own: status, fields and body.

    Raises PluginFailed.
    """
    pairs = [(name.encode("latin-1"), bytes_of(value)) for name, value in fields]
    if body and kind:
        pairs.insert(0, (b"Content-Type", kind.encode()))
    phases.filter_head(status, lambda: pairs, source)
    if phases.chain.body_filter:
        body = phases.filter_body(body, True)
    response = phases.context.response
    shown = tuple(
        (name.decode("latin-1"), value.decode("latin-1")) for name, value in response.pairs
    )
    return response.status, shown, body


def facts(
    status: int,
    started: float,
    sent: float,
    answered: float | None,
    now: float,
    request_bytes: int,
    response_bytes: int,
    wall_clock: float,
) -> Facts:
    """How a request went. Times are the loop's seconds: when its head was there, when it was sent
    on, when the upstream's head came (None: no upstream answered), and now."""
    upstream_ms = None if answered is None else round((answered - sent) * 1000)
    own = (now if answered is None else sent) - started
    return Facts(
        status,
        round((now - started) * 1000),
        upstream_ms,
        round(own * 1000),
        request_bytes,
        response_bytes,
        wall_clock - (now - started),
    )


def size_of(head: RequestHead) -> int:
    """About how many bytes a request's head had."""
    lines = sum(len(name) + len(value) + 4 for name, value in head.plain)
    return lines + sum(len(value) + 16 for value in head.special.values()) + len(head.target) + 16


def _pairs(lines: list[bytes]) -> list[Pair]:
    pairs: list[Pair] = []
    for line in lines:
        name, _, value = line.partition(b":")
        pairs.append((name, value.strip(b" \t")))
    return pairs
