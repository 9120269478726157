"""A simulated Egnyte domain, from its published description: https://developers.egnyte.com/docs/.

    with egnyte.running(calls_per_second=2, calls_per_day=1000) as cloud:
        cloud.url                                     # what is https://{domain}.egnyte.com elsewhere
        cloud.credentials["client_id"], ["client_secret"], ["username"], ["password"], ["refresh_token"]
        cloud.credentials["root"]                     # "/Shared/Projects", where the paths of the handle begin

What the description leaves open, or says twice in two ways, is a switch of `EgnyteSwitches`.
"""

import contextlib
from collections.abc import Iterator
from typing import Any

from simulator.clouds.base import Cloud, served
from simulator.clouds.egnyte.app import EgnyteService
from simulator.clouds.egnyte.state import EgnyteSwitches

__all__ = ["EgnyteSwitches", "running"]


@contextlib.contextmanager
def running(**switches: Any) -> Iterator[Cloud]:
    """Serve an empty domain until the block ends. Raises ValueError naming an unknown switch."""
    chosen = EgnyteSwitches().changed(switches)
    with served(lambda url: EgnyteService(url, chosen)) as cloud:
        yield cloud
