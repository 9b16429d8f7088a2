"""TLS to upstreams: what is verified, what is shown, and under which name.

As Kong does it: verified only where the service's ``tls_verify`` says so, against its
``ca_certificates``, else against ``lua_ssl_trusted_certificate``; the client certificate is the
service's, else the upstream's, else that of ``client_ssl``; the server name is the Host that the
upstream is sent (nginx: ``proxy_ssl_name $upstream_host``).

Connections of one identity are interchangeable. When a certificate changes, the identities made of
it end, and with them their idle connections: the next request shows the new one.
"""

import ipaddress
import ssl
from collections import OrderedDict
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, NamedTuple

from node.proxy import limits, pem
from node.proxy.certificates import Authority, Certificate
from node.proxy.entities import Service, split_port
from node.proxy.settings import ProxySettings

if TYPE_CHECKING:
    from node.proxy.table import Table

SYSTEM = "system"
_CONFIGURED = "client_ssl"
"""In place of a certificate's id."""
_UNUSABLE = (ssl.SSLError, OSError, ValueError)


class TlsRefused(Exception):
    """A service that can't be connected to as it asks; the message says why."""


class _Parameters(NamedTuple):
    """What one identity is made of, by reference."""

    verify: bool
    depth: int | None
    authorities: tuple[str, ...]
    """Ids; none: the configured ones."""
    client: str
    """Id of the client certificate; empty: none."""


class Identity:
    """A TLS context for upstreams; compared by identity, as part of the pool's key."""

    __slots__ = ("context", "current", "made_of")

    def __init__(
        self, context: ssl.SSLContext, made_of: tuple[Certificate | Authority, ...]
    ) -> None:
        self.context = context
        self.made_of = made_of
        self.current = True
        """False once something that it is made of has changed: no new request may use it."""


class TlsTo(NamedTuple):
    """How to connect to one server. Connections with equal ones are interchangeable."""

    identity: Identity
    server_hostname: str
    """For SNI, and verified; empty for a name that can't be sent, where nothing is verified."""


class UpstreamTls:
    """The identities of one worker."""

    def __init__(
        self,
        settings: ProxySettings,
        table: Callable[[], "Table"],
        ended: Callable[[], None],
    ) -> None:
        """``ended`` is told when identities have ended: the pool has idle connections to close."""
        self._settings = settings
        self._table = table
        self._ended = ended
        self._identities: OrderedDict[_Parameters, Identity] = OrderedDict()
        """The least lately used first."""

    def __len__(self) -> int:
        return len(self._identities)

    def to(self, service: Service, host: bytes, upstream_certificate: str = "") -> TlsTo | None:
        """How to connect for a service; None: without TLS.

        ``host`` is the Host that the upstream is sent, ``upstream_certificate`` the id of the
        Kong upstream's client certificate, if there is one. Raises TlsRefused.
        """
        if not service.ssl:
            return None
        client = service.client_certificate_id or upstream_certificate
        if not client and self._settings.client_ssl_cert:
            client = _CONFIGURED
        verify = service.tls_verify
        parameters = _Parameters(
            verify,
            service.tls_verify_depth if verify else None,
            service.ca_certificates if verify else (),
            client,
        )
        identity = self._identities.get(parameters)
        if identity is None:
            identity = self._add(parameters)
        else:
            self._identities.move_to_end(parameters)
        return TlsTo(identity, _server_hostname(host, verify))

    def changed(self, ids: Iterable[str]) -> None:
        """End the identities that are made of these certificates or authorities."""
        changed = frozenset(ids)
        self._end(
            parameters
            for parameters in self._identities
            if parameters.client in changed or not changed.isdisjoint(parameters.authorities)
        )

    def loaded(self) -> None:
        """End the identities whose certificates or authorities aren't as in the new table."""
        table = self._table()

        def is_held(used: Certificate | Authority) -> bool:
            if isinstance(used, Certificate):
                return table.certificates.held.get(used.id) == used
            return table.authorities.held.get(used.id) == used

        self._end(
            parameters
            for parameters, identity in self._identities.items()
            if not all(map(is_held, identity.made_of))
        )

    def _end(self, ending: Iterable[_Parameters]) -> None:
        ended = [self._identities.pop(parameters) for parameters in list(ending)]
        for identity in ended:
            identity.current = False
        if ended:
            self._ended()

    def _add(self, parameters: _Parameters) -> Identity:
        identity = self._identities[parameters] = self._made(parameters)
        if len(self._identities) > limits.UPSTREAM_CONTEXTS_MAX:
            self._end([next(iter(self._identities))])
        return identity

    def _made(self, parameters: _Parameters) -> Identity:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.set_alpn_protocols(["http/1.1"])
        made_of: list[Certificate | Authority] = []
        if parameters.verify:
            made_of += self._trust(context, parameters)
        else:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        if parameters.client:
            made_of += self._show(context, parameters.client)
        return Identity(context, tuple(made_of))

    def _trust(self, context: ssl.SSLContext, parameters: _Parameters) -> list[Authority]:
        held = self._table().authorities.held
        authorities = []
        for id in parameters.authorities:
            if id not in held:
                raise TlsRefused(f"CA Certificate '{id}' does not exist")
            authorities.append(held[id])
        try:
            for authority in authorities:
                context.load_verify_locations(cadata=authority.cert)
            if not authorities:
                self._trust_configured(context)
        except _UNUSABLE as error:
            raise TlsRefused(f"an authority's certificate: {pem.problem(error)}") from error
        if parameters.depth is not None:
            context.sslobject_class = _bounded(parameters.depth)
        return authorities

    def _trust_configured(self, context: ssl.SSLContext) -> None:
        for file in self._settings.trusted_certificates:
            if file == SYSTEM:
                context.load_default_certs(ssl.Purpose.SERVER_AUTH)
            else:
                context.load_verify_locations(cafile=file)

    def _show(self, context: ssl.SSLContext, client: str) -> list[Certificate]:
        """Take a client certificate into a context."""
        try:
            if client == _CONFIGURED:
                settings = self._settings
                context.load_cert_chain(settings.client_ssl_cert, settings.client_ssl_cert_key)
                return []
            certificate = self._table().certificates.held.get(client)
            if certificate is None:
                raise TlsRefused(f"certificate {client} not found")
            pem.load_pair(context, certificate.cert, certificate.key)
        except _UNUSABLE as error:
            raise TlsRefused(f"client certificate {client}: {pem.problem(error)}") from error
        return [certificate]


def _server_hostname(host: bytes, verify: bool) -> str:
    """The name in a Host. Raises TlsRefused for one that can't be verified."""
    name = split_port(host)[0].decode("latin-1").lower().strip("[]").removesuffix(".")
    if _is_address(name) or _is_sendable(name):
        return name
    if verify:
        raise TlsRefused(f"'{name[:80]}' is no name that a certificate could have")
    return ""


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _is_sendable(name: str) -> bool:
    """Whether a name can stand in a ClientHello (RFC 6066, 3) and Python takes it."""
    labels = name.split(".")
    return name.isascii() and len(name) <= 253 and all(0 < len(label) <= 63 for label in labels)


def _bounded(depth: int) -> type[ssl.SSLObject]:
    """TLS that takes at most so many certificates between the server's own and the authority's, as
    OpenSSL's verify depth counts them. Python has no setting for that depth."""

    class Bounded(ssl.SSLObject):
        def do_handshake(self) -> None:
            super().do_handshake()
            chain = self._sslobj.get_verified_chain()  # type: ignore[attr-defined]  # public in 3.13
            if len(chain) - 2 > depth:
                raise ssl.SSLCertVerificationError(
                    1, f"certificate chain too long: {len(chain) - 2} in between, {depth} allowed"
                )

    return Bounded
