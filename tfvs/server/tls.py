"""TLS material checked before it is used: what is wrong is said in a sentence, and none of it is shown."""

from __future__ import annotations

import os
import ssl
from collections.abc import Iterator
from contextlib import contextmanager

from tfvs.errors import ConfigError

_MISMATCH = "KEY_VALUES_MISMATCH"


def check_tls(key: str, certificate: str, authorities: str, *, verifies_clients: bool, source: str) -> None:
    """Raises where a server could not use the material.

    Args:
      key: Private key, PEM.
      certificate: Certificate of the server, with those that lead to the root, PEM.
      authorities: Certificates that clients' are signed with, PEM; may be empty.
      verifies_clients: Whether clients must show a certificate.
      source: The file it comes from, for the error.

    Raises:
      ConfigError: It is not complete, is no PEM, the key is encrypted, or is that of another certificate.
    """
    if not key or not certificate:
        raise _wrong(source, "it is not complete", "server_key and server_cert, PEM")
    if verifies_clients and not authorities:
        raise _wrong(
            source, "client_verify is given without custom_ca", "the authority that signs the clients' certificates"
        )
    for name, text in (("server_cert", certificate), ("custom_ca", authorities)):
        if text and not _is_certificate(text):
            raise _wrong(source, f"{name} is no certificate", "PEM, with its BEGIN and END lines")
    reason = _pair_problem(key, certificate)
    if reason == _MISMATCH:
        raise _wrong(source, "server_key is not the key of server_cert", "a key and its own certificate")
    if reason:
        raise _wrong(source, "server_key is no private key, or an encrypted one", "PEM, not encrypted")


def _wrong(source: str, what: str, expected: str) -> ConfigError:
    return ConfigError(f"The TLS configuration {source} cannot be used: {what}", expected=expected)


def _is_certificate(text: str) -> bool:
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_verify_locations(cadata=text)
    except (ssl.SSLError, ValueError):
        return False
    return True


def _pair_problem(key: str, certificate: str) -> str:
    """OpenSSL's name for what is wrong with the two; empty: nothing."""
    with _readable(key) as key_file, _readable(certificate) as certificate_file:
        try:
            ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(certificate_file, key_file, password=lambda: b"")
        except (ssl.SSLError, OSError, ValueError) as error:
            return getattr(error, "reason", None) or type(error).__name__
    return ""


@contextmanager
def _readable(text: str) -> Iterator[str]:
    """A path in memory that has the text: OpenSSL reads files only, and no key should be written to a disk."""
    descriptor = os.memfd_create("pem")
    try:
        os.write(descriptor, text.encode())
        yield f"/proc/self/fd/{descriptor}"
    finally:
        os.close(descriptor)
