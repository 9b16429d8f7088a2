"""Which versions and ciphers of TLS clients are offered, and what upstreams are shown.

The suites are those of Mozilla's guidelines 5.7, as in Kong (kong/conf_loader/constants.lua). A
suite says which versions there are; of these, ``ssl_protocols`` leaves the ones that it names.
"""

import os
import ssl
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

VERSIONS = ("TLSv1.2", "TLSv1.3")
"""What is offered. OpenSSL 3 itself refuses older ones."""
_OLDER = ("TLSv1", "TLSv1.1")
SYSTEM = "system"


class Suite(NamedTuple):
    versions: tuple[str, ...]
    ciphers: str
    """Of TLS 1.2, in OpenSSL's notation; empty: OpenSSL's own. TLS 1.3 has sound ones only."""


_INTERMEDIATE = (
    "ECDHE-ECDSA-AES128-GCM-SHA256 ECDHE-RSA-AES128-GCM-SHA256 ECDHE-ECDSA-AES256-GCM-SHA384 "
    "ECDHE-RSA-AES256-GCM-SHA384 ECDHE-ECDSA-CHACHA20-POLY1305 ECDHE-RSA-CHACHA20-POLY1305 "
    "DHE-RSA-AES128-GCM-SHA256 DHE-RSA-AES256-GCM-SHA384 DHE-RSA-CHACHA20-POLY1305"
)
_OLD = (
    f"{_INTERMEDIATE} ECDHE-ECDSA-AES128-SHA256 ECDHE-RSA-AES128-SHA256 ECDHE-ECDSA-AES128-SHA "
    "ECDHE-RSA-AES128-SHA ECDHE-ECDSA-AES256-SHA384 ECDHE-RSA-AES256-SHA384 "
    "ECDHE-ECDSA-AES256-SHA ECDHE-RSA-AES256-SHA DHE-RSA-AES128-SHA256 DHE-RSA-AES256-SHA256 "
    "AES128-GCM-SHA256 AES256-GCM-SHA384 AES128-SHA256 AES256-SHA256 AES128-SHA AES256-SHA"
)
SUITES = {
    "modern": Suite(("TLSv1.3",), ""),
    "intermediate": Suite(VERSIONS, _INTERMEDIATE.replace(" ", ":")),
    "old": Suite(VERSIONS, _OLD.replace(" ", ":")),
    "fips": Suite(("TLSv1.2",), "TLSv1.2+FIPS:kRSA+FIPS:!eNULL:!aNULL"),
    "custom": Suite(VERSIONS, ""),
}


def protocols(text: str) -> tuple[str, ...]:
    """Versions of TLS, separated by blanks as nginx wants them; those that nobody offers any more
    are passed over."""
    known = {word.lower(): word for word in VERSIONS}
    found = []
    for word in text.split():
        if word.lower() in known:
            found.append(known[word.lower()])
        elif word.lower() not in {older.lower() for older in _OLDER}:
            raise ValueError(f"has {word[:80]!r}, which is none of {', '.join(VERSIONS)}")
    if not found:
        raise ValueError(f"has none of {', '.join(VERSIONS)}, the versions that are offered")
    return tuple(sorted(set(found)))


def offered(suite: str, versions: tuple[str, ...], ciphers: str) -> Suite:
    """What clients are offered by ``ssl_cipher_suite``, ``ssl_protocols`` and ``ssl_ciphers``."""
    named = SUITES[suite]
    both = tuple(word for word in named.versions if word in versions)
    return Suite(both, ciphers if suite == "custom" else named.ciphers)


def problems(values: Mapping[str, Any]) -> Iterator[str]:
    """What can't be started with, a sentence each."""
    suite, named = values["ssl_cipher_suite"], values["ssl_protocols"]
    versions, ciphers = offered(suite, named, values["ssl_ciphers"])
    if not versions:
        yield (
            f"ssl_protocols = {' '.join(named)!r}: none of them is in "
            f"ssl_cipher_suite = {suite!r}; leave ssl_protocols out"
        )
    if ciphers:
        try:
            ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).set_ciphers(ciphers)
        except ssl.SSLError:
            yield f"ssl_ciphers = {ciphers[:80]!r}: OpenSSL knows none of these"
    elif suite == "custom":
        yield "ssl_ciphers: is unset, but ssl_cipher_suite is custom; name ciphers, or leave it out"
    for file in values["lua_ssl_trusted_certificate"]:
        if file != SYSTEM and not os.access(file, os.R_OK):
            yield f"lua_ssl_trusted_certificate = {file[:80]!r}: can't be read; name a PEM file"
