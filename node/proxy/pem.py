"""Certificates and keys from memory into TLS contexts, which read them from files only.

A private key must not touch a disk for that. On Linux it is handed over in a file that exists in
memory alone (memfd_create) and has no name that another process could open; elsewhere (macOS)
through a pipe. Either way OpenSSL opens it as /dev/fd/N, and what is left is closed at once. A pipe
holds 16 KiB at least, and what doesn't fit is refused: an ordinary chain has 4 to 8 KiB.
"""

import os
import ssl
from collections.abc import Iterator
from contextlib import contextmanager


def load_pair(context: ssl.SSLContext, certificate: str, key: str) -> None:
    """Add a certificate, its chain after it, and its key. One more pair of another algorithm may
    be added; one of the same replaces the first.

    Raises ssl.SSLError for what is no pair, OSError where the system has no descriptors left.
    """
    with _readable(certificate.encode()) as chain, _readable(key.encode()) as secret:
        # A password is given so that none is asked for on a terminal.
        context.load_cert_chain(chain, secret, password="")


def problem(error: Exception) -> str:
    """What was wrong, in words: OpenSSL's own are short."""
    if isinstance(error, ssl.SSLError) and error.reason is None:
        return "the certificate or its key is no PEM that OpenSSL can read"
    return str(error)


@contextmanager
def _readable(data: bytes) -> Iterator[str]:
    descriptor = _in_memory(data) if hasattr(os, "memfd_create") else _in_pipe(data)
    try:
        yield f"/dev/fd/{descriptor}"
    finally:
        os.close(descriptor)


def _in_memory(data: bytes) -> int:
    descriptor = os.memfd_create("pem", os.MFD_CLOEXEC)
    try:
        _write_all(descriptor, data)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _in_pipe(data: bytes) -> int:
    reading, writing = os.pipe()
    try:
        os.set_blocking(writing, False)
        _write_all(writing, data)
    except BaseException:
        os.close(reading)
        raise
    finally:
        os.close(writing)
    return reading


def _write_all(descriptor: int, data: bytes) -> None:
    written = os.write(descriptor, data)
    if written != len(data):
        raise OSError(f"a PEM text of {len(data)} bytes is too long")
