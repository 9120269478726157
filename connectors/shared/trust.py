"""Whose certificates a connection trusts."""

import ssl
from pathlib import Path

from migration.errors import ConfigurationError


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
