"""TLS on the listeners: for each server name its own certificate, changed without a restart.

A listener has one context, with the default certificate. While a handshake goes on, the client's
server name swaps in the context of the certificate that is for it. Those are made when they are
first needed, a millisecond or two each, and the latest used are kept. A handshake that is done
never looks at its context again, so a change touches no connection.

Session tickets are encrypted by the listener's context with keys of this process. Python can't set
them, so a ticket is good for the worker that gave it only, and elsewhere leads to a full handshake.
"""

import ssl
from collections import OrderedDict
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from node.proxy import limits, pem
from node.proxy.certificates import Certificate
from node.proxy.holding import Refused
from node.proxy.settings import ProxySettings

if TYPE_CHECKING:
    from node.proxy.table import Table

_VERSIONS = {"TLSv1.2": ssl.TLSVersion.TLSv1_2, "TLSv1.3": ssl.TLSVersion.TLSv1_3}
UNUSABLE = (ssl.SSLError, OSError, ValueError)


class ServerTls:
    """The TLS contexts of one worker's listeners."""

    def __init__(
        self, settings: ProxySettings, table: Callable[[], "Table"], refused: Refused
    ) -> None:
        self._settings = settings
        self._table = table
        self._refused = refused
        self._contexts: OrderedDict[str, tuple[Certificate, ssl.SSLContext | None]] = OrderedDict()
        """By the certificate's id, the least lately used first; None for one that can't be used."""

    def __len__(self) -> int:
        return len(self._contexts)

    def listener_context(self) -> ssl.SSLContext:
        """A listener's context, with the configured certificate.

        Raises OSError, ValueError or ssl.SSLError for unusable files or ciphers.
        """
        context = self._context()
        context.load_cert_chain(self._settings.ssl_cert, self._settings.ssl_cert_key or None)
        context.sni_callback = self._named
        return context

    def changed(self, certificate_ids: Iterable[str]) -> None:
        """Let go of what was made of these."""
        for certificate_id in certificate_ids:
            self._contexts.pop(certificate_id, None)

    def loaded(self) -> None:
        """Let go of what was made of certificates that aren't in the new table."""
        held = self._table().certificates.held
        self.changed([id for id, (used, _) in self._contexts.items() if held.get(id) != used])

    def choose(self, name: str) -> ssl.SSLContext | None:
        """The context of the certificate that is for a name; None for the listener's own."""
        table = self._table()
        for sni in table.snis.fitting(name):
            certificate = table.certificates.held.get(sni.certificate_id)
            context = None if certificate is None else self._of(certificate)
            if context is not None:
                return context
        return None

    def _named(self, tls: ssl.SSLObject, name: str | None, context: ssl.SSLContext) -> None:
        tls.requested_name = name  # type: ignore[attr-defined]  # read in Downstream._peer
        if name:
            chosen = self.choose(name)
            if chosen is not None:
                tls.context = chosen

    def _of(self, certificate: Certificate) -> ssl.SSLContext | None:
        kept = self._contexts.get(certificate.id)
        if kept is not None and kept[0] == certificate:
            self._contexts.move_to_end(certificate.id)
            return kept[1]
        context = self._made(certificate)
        self._contexts[certificate.id] = (certificate, context)
        self._contexts.move_to_end(certificate.id)
        if len(self._contexts) > limits.SERVER_CONTEXTS_MAX:
            self._contexts.popitem(last=False)
        return context

    def _made(self, certificate: Certificate) -> ssl.SSLContext | None:
        context = self._context()
        try:
            pem.load_pair(context, certificate.cert, certificate.key)
            if certificate.cert_alt:
                pem.load_pair(context, certificate.cert_alt, certificate.key_alt)
        except UNUSABLE as error:
            self._refused(f"certificates {certificate.id} is left out: {pem.problem(error)}")
            return None
        return context

    def _context(self) -> ssl.SSLContext:
        settings = self._settings
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        versions = [_VERSIONS[word] for word in settings.ssl_protocols if word in _VERSIONS]
        context.minimum_version, context.maximum_version = min(versions), max(versions)
        if settings.ssl_ciphers:
            context.set_ciphers(settings.ssl_ciphers)
        context.options |= ssl.OP_NO_RENEGOTIATION
        if not settings.ssl_session_tickets:
            context.options |= ssl.OP_NO_TICKET
            context.num_tickets = 0
        context.set_alpn_protocols(["http/1.1"])
        return context
