"""The certificate that probes show their targets: the upstream's, else that of ``client_ssl``."""

import os
from collections.abc import Callable, Mapping
from typing import NamedTuple

from node import logs
from node.proxy.certificates import read_certificate
from node.proxy.holding import UNREADABLE
from node.proxy.vaults import Vaults
from node.references import SCHEME
from store.contents import PinnedState
from store.schema import schema

log = logs.get("health")

_FIELDS = schema("certificates").fields


class Pair(NamedTuple):
    """A certificate with its chain, and its key."""

    cert: str
    key: str
    in_files: bool = False
    """Both are paths, not PEM texts."""


class NoCertificate(OSError):
    """The certificate that is to be shown isn't there, or can't be read."""


class ClientCertificates:
    """Read at each probe, so that a changed certificate is shown by the next one."""

    def __init__(
        self,
        state: Callable[[], PinnedState | None],
        configured: tuple[str, str] = ("", ""),
        vault_env_prefix: str = "",
        environ: Mapping[str, str] = os.environ,
    ) -> None:
        """``configured`` are the files of ``client_ssl``, empty for none."""
        self._state = state
        self._configured = Pair(*configured, in_files=True) if configured[0] else None
        self._vault_env_prefix = vault_env_prefix
        self._environ = environ

    def of(self, certificate_id: str) -> Pair | None:
        """What an upstream with this ``client_certificate`` shows; an empty id is one without.
        Raises NoCertificate."""
        if not certificate_id:
            return self._configured
        state = self._state()
        text = None if state is None else state.get("certificates", certificate_id)
        if state is None or text is None:
            raise NoCertificate(f"certificate {certificate_id} not found")
        try:
            found = read_certificate(
                text.decode(),
                lambda fields: self._vaults(state, text).resolved(_FIELDS, fields, self._environ),
            )
        except UNREADABLE as error:
            raise NoCertificate(f"certificate {certificate_id}: {error}") from error
        return Pair(found.cert, found.key)

    def _vaults(self, state: PinnedState, text: bytes) -> Vaults:
        vaults = Vaults(self._refused, self._vault_env_prefix)
        if SCHEME.encode() in text:
            others = [kind for kind in state.counts() if kind != vaults.kind]
            for _, entity_id, vault in state.rows(leave_out=others):
                vaults.apply(entity_id, vault.decode())
        return vaults

    @staticmethod
    def _refused(reason: str) -> None:
        log.warning("a probe's certificate can't be resolved", reason=reason)
