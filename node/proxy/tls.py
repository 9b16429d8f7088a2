"""TLS on the listeners: the default certificate, and the name that each client asked for."""

import ssl


def listener_context(cert: str, key: str) -> ssl.SSLContext:
    """The TLS context of a listener. Raises OSError or ssl.SSLError for unusable files."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(cert, key or None)
    context.set_alpn_protocols(["http/1.1"])
    context.sni_callback = _remember_name
    return context


def _remember_name(tls: ssl.SSLObject, name: str | None, context: ssl.SSLContext) -> None:
    tls.requested_name = name  # type: ignore[attr-defined]  # read in Downstream._peer
