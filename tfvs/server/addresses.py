"""Addresses to listen on: names, IPv4, and IPv6 with or without brackets."""

from __future__ import annotations


def for_socket(host: str) -> str:
    """The address as sockets take it: ``::1``, not ``[::1]``."""
    return host[1:-1] if host.startswith("[") and host.endswith("]") else host


def for_url(host: str) -> str:
    """The address as it stands in URLs and messages: ``[::1]``."""
    bare = for_socket(host)
    return f"[{bare}]" if ":" in bare else bare
