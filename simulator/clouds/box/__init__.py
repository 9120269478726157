"""A simulated Box, from its published description: https://developer.box.com/reference/ and /guides/.

    with box.running(part_size_bytes=64) as cloud:
        cloud.urls["api"], cloud.urls["upload"], cloud.urls["account"], cloud.urls["download"]
        cloud.credentials["client_id"], ["client_secret"], ["enterprise_id"], ["user_id"], ["refresh_token"],
            ["jwt_key_id"], ["private_key"], ["private_key_passphrase"]

The vendor's client works against it with `BaseUrls(base_url=urls["api"], upload_url=urls["upload"],
oauth_2_url=urls["account"])`. An assertion's audience stays `https://api.box.com/oauth2/token`. Paths of the handle
begin below the root folder `0`. What the description leaves open is a switch of `BoxSwitches`.
"""

import contextlib
from collections.abc import Iterator
from typing import Any

from simulator.clouds.base import Cloud, served
from simulator.clouds.box.app import BoxService
from simulator.clouds.box.state import BoxSwitches

__all__ = ["BoxSwitches", "running"]


@contextlib.contextmanager
def running(**switches: Any) -> Iterator[Cloud]:
    """Serve an empty Box until the block ends. Raises ValueError naming an unknown switch."""
    chosen = BoxSwitches().changed(switches)
    with served(lambda url: BoxService(url, chosen)) as cloud:
        yield cloud
