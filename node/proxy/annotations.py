"""The fields that we add to answers: Kong's ``headers`` setting, and error answers whole."""

import time

from node.proxy import errors
from node.proxy.entities import Route, Service

_GROUPS = {
    "server_tokens": ("server", "via"),
    "latency_tokens": (
        "x-kong-upstream-latency",
        "x-kong-proxy-latency",
        "x-kong-response-latency",
    ),
}


def debug_lines(route: Route, service: Service) -> bytes:
    """Field lines that name the route and the service."""
    values = {
        "Kong-Route-Id": route.id,
        "Kong-Route-Name": route.name,
        "Kong-Service-Id": service.id,
        "Kong-Service-Name": service.name,
    }
    return "".join(f"{name}: {value}\r\n" for name, value in values.items() if value).encode()


_NUMBERS = tuple(b"%d" % number for number in range(1_000))


def _milliseconds(seconds: float) -> bytes:
    """Rounded down, in digits. (To format is dear: most are known.)"""
    number = int(seconds * 1000)
    return _NUMBERS[number] if 0 <= number < 1_000 else b"%d" % number


def whole(start: bytes, keep_alive: bool, lines: bytes, body: bytes) -> bytes:
    """An answer in one piece; ``start`` ends with the upstream's own field lines, ours follow."""
    connection = b"Connection: keep-alive\r\n" if keep_alive else b"Connection: close\r\n"
    return b"".join((start, connection, lines, b"\r\n", body))


class Annotations:
    """What of our own a response carries. Latencies are in milliseconds, rounded down."""

    def __init__(self, headers: tuple[str, ...], version: str) -> None:
        names: set[str] = set()
        for token in headers:
            names.update(_GROUPS.get(token, (token,)))
        self.product = f"grapevine/{version}".encode()
        self._own_server = b"Server: %b\r\n" % self.product if "server" in names else b""
        self._via = b"Via: 1.1 %b\r\n" % self.product if "via" in names else b""
        self._upstream_latency = "x-kong-upstream-latency" in names
        self._proxy_latency = "x-kong-proxy-latency" in names
        self._response_latency = "x-kong-response-latency" in names
        self._upstream_status = "x-kong-upstream-status" in names
        self._request_id = "x-kong-request-id" in names
        self._usual = (
            self._upstream_latency
            and self._proxy_latency
            and self._request_id
            and not self._upstream_status
        )
        self._before_id = b"\r\n%bX-Kong-Request-Id: " % self._via
        self._date_second = -1
        self._date = b""

    def proxied(
        self, status: int, upstream_seconds: float, proxy_seconds: float, request_id: bytes
    ) -> bytes:
        """Field lines for an upstream's answer; its own Server field stays."""
        if self._usual:
            return b"".join(
                (
                    b"X-Kong-Upstream-Latency: ",
                    _milliseconds(upstream_seconds),
                    b"\r\nX-Kong-Proxy-Latency: ",
                    _milliseconds(proxy_seconds),
                    self._before_id,
                    request_id,
                    b"\r\n",
                )
            )
        lines = []
        if self._upstream_latency:
            lines.append(b"X-Kong-Upstream-Latency: %d\r\n" % (upstream_seconds * 1000))
        if self._proxy_latency:
            lines.append(b"X-Kong-Proxy-Latency: %d\r\n" % (proxy_seconds * 1000))
        if self._upstream_status:
            lines.append(b"X-Kong-Upstream-Status: %d\r\n" % status)
        lines.append(self._via)
        if self._request_id:
            lines.append(b"X-Kong-Request-Id: %b\r\n" % request_id)
        return b"".join(lines)

    def answer(
        self,
        status: int,
        fields: tuple[tuple[str, str], ...],
        body: bytes,
        kind: str,
        response_seconds: float,
        request_id: bytes,
        keep_alive: bool,
        head_only: bool,
    ) -> bytes:
        """A whole answer of our own. ``fields`` may hold a Connection of its own, and with an empty
        ``kind`` a Content-Type."""
        own = {name.lower() for name, _ in fields}
        lines = [f"HTTP/1.1 {status} {errors.reason_phrase(status)}\r\n".encode(), self._now()]
        if body and kind:
            lines.append(f"Content-Type: {kind}\r\n".encode())
        if "connection" not in own or not keep_alive:
            lines.append(b"Connection: %b\r\n" % (b"keep-alive" if keep_alive else b"close"))
        lines += [
            f"{name}: {value}\r\n".encode("latin-1")
            for name, value in fields
            if keep_alive or name.lower() != "connection"
        ]
        lines += [b"Content-Length: %d\r\n" % len(body), self._own_server]
        if self._response_latency:
            lines.append(b"X-Kong-Response-Latency: %d\r\n" % (response_seconds * 1000))
        if self._request_id:
            lines.append(b"X-Kong-Request-Id: %b\r\n" % request_id)
        lines.append(b"\r\n")
        if not head_only:
            lines.append(body)
        return b"".join(lines)

    def _now(self) -> bytes:
        second = int(time.time())
        if second != self._date_second:
            self._date_second = second
            stamp = time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime(second))
            self._date = f"Date: {stamp}\r\n".encode()
        return self._date
