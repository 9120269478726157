"""Whose certificates a connection trusts."""

import functools
import ssl
from pathlib import Path

import httpx

from migration.errors import ConfigurationError


@functools.cache
def this_machines() -> ssl.SSLContext:
    """What trusts this machine's authorities: made once, since reading them takes 50 ms and a megabyte each time."""
    return httpx.create_ssl_context()


def trusting(ca_file: Path | None) -> ssl.SSLContext | None:
    """What trusts this machine's authorities and those in the file; None = only this machine's.

    Raises ConfigurationError `ca-file-unreadable`.
    """
    if ca_file is None:
        return None
    context = ssl.create_default_context()
    try:
        context.load_verify_locations(cafile=ca_file)
    except OSError as error:
        raise ConfigurationError(
            "ca-file-unreadable",
            f"{ca_file} holds no certificates ({error}).",
            fix="Give a file with the authority's certificate in PEM form as --ca-file.",
        ) from error
    return context
