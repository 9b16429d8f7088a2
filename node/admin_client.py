"""A small client of the Admin API, for the command line: one request, one bounded answer."""

import http.client
import json
import ssl
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from node.config.listen import HostPort, ListenAddress, parse_host_port

TIMEOUT_SECONDS = 10.0
ANSWER_BYTES_MAX = 16 * 1024 * 1024
TOKEN_HEADER = "Kong-Admin-Token"
DEFAULT_PORT = 8001
_SAME_MACHINE = {"0.0.0.0": "127.0.0.1", "::": "::1"}


class AdminUnreachable(Exception):
    """Nothing answers there: the node isn't running, or not there."""


class AdminFailed(Exception):
    """Something answered, but not what was asked for."""


@dataclass(frozen=True, slots=True)
class AdminClient:
    """Asks one Admin API."""

    address: HostPort
    tls: bool
    token: str | None = None

    @classmethod
    def at(
        cls, url: str | None, listeners: Sequence[ListenAddress], token: str | None
    ) -> "AdminClient":
        """The client of ``url``, else of the first listener, one without TLS preferred.

        Raises ValueError when neither names an address.
        """
        if url is not None:
            return cls._of_url(url, token)
        if not listeners:
            raise ValueError("admin_listen is off; name another node's Admin API with --admin-url")
        listener = min(listeners, key=lambda candidate: candidate.ssl)
        host = _SAME_MACHINE.get(listener.host, listener.host)
        return cls(HostPort(host, listener.port), listener.ssl, token)

    @classmethod
    def _of_url(cls, url: str, token: str | None) -> "AdminClient":
        parts = urlsplit(url if "://" in url else f"http://{url}")
        if parts.scheme not in ("http", "https") or "@" in parts.netloc or parts.query:
            raise ValueError(f"--admin-url = {url!r}: is no URL; write http://host:port")
        try:
            address = parse_host_port(parts.netloc, default_port=DEFAULT_PORT)
        except ValueError as error:
            raise ValueError(f"--admin-url = {url!r}: {error}") from None
        return cls(address, parts.scheme == "https", token)

    def get(self, path: str) -> Any:
        """The decoded JSON answer to GET ``path``. Raises AdminUnreachable or AdminFailed."""
        return self.send("GET", path)

    def send(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None = None,
        *,
        seconds: float = 0.0,
    ) -> Any:
        """The decoded JSON answer to one request, None when it has no body.

        ``body`` is sent as JSON. The answer may take ``seconds`` longer than others. Raises
        AdminUnreachable or AdminFailed.
        """
        connection = self._connection(TIMEOUT_SECONDS + seconds)
        headers = {"Accept": "application/json", "Host": str(self.address)}
        if self.token is not None:
            headers[TOKEN_HEADER] = self.token
        content = None
        if body is not None:
            content = json.dumps(body).encode()
            headers["Content-Type"] = "application/json"
        try:
            connection.request(method, path, content, headers)
            with connection.getresponse() as answer:
                status, answered = answer.status, answer.read(ANSWER_BYTES_MAX + 1)
        except ssl.SSLError as error:
            raise AdminFailed(f"{self.address}: TLS failed: {error.reason}") from None
        except OSError as error:
            reason = error.strerror or str(error)
            raise AdminUnreachable(
                f"no Admin API answers at {self.address} ({reason}); is the node running?"
            ) from None
        except http.client.HTTPException as error:
            raise AdminFailed(f"{self.address} answers no HTTP: {error!r}") from None
        finally:
            connection.close()
        return _decoded(self.address, path, status, answered)

    def _connection(self, timeout: float) -> http.client.HTTPConnection:
        context = self.context()
        if context is None:
            return http.client.HTTPConnection(*self.address, timeout=timeout)
        return http.client.HTTPSConnection(*self.address, timeout=timeout, context=context)

    def context(self) -> ssl.SSLContext | None:
        """How its TLS is checked; None without."""
        if not self.tls:
            return None
        context = ssl.create_default_context()
        if self.address.is_loopback:
            # The node's own certificate is self-signed; on loopback there is nobody in between.
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        return context


def _decoded(address: HostPort, path: str, status: int, body: bytes) -> Any:
    if len(body) > ANSWER_BYTES_MAX:
        raise AdminFailed(f"{address} answers {path} with more than {ANSWER_BYTES_MAX} bytes")
    if status == http.HTTPStatus.NO_CONTENT:
        return None
    try:
        answer = json.loads(body)
    except (ValueError, RecursionError):
        raise AdminFailed(
            f"{address} answers {path} with {status} and no JSON; is it an Admin API?"
        ) from None
    if 200 <= status < 300:
        return answer
    message = answer.get("message") if isinstance(answer, dict) else None
    raise AdminFailed(f"{address} answers {path} with {status}: {message or 'no message'}")
