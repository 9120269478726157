"""The systems of the round trips and benchmarks are connected by settings that there are."""

import json
from pathlib import Path

import pytest

from benchmarks.store_kinds import STORES
from connectors.registry import settings_of

STAND_INS = (
    "filesystem", "gcs", "sharepoint", "sharepoint-rewriting", "box", "dropbox", "google-drive", "egnyte",
)  # fmt: skip
"""Those that start at once; the others' servers are connected in their own tests by the same settings."""


@pytest.mark.parametrize("kind", STAND_INS)
def test_a_proof_connects_its_system_by_settings_that_there_are(kind: str, tmp_path: Path) -> None:
    with STORES[kind](tmp_path) as store:
        settings = settings_of(json.dumps(store.settings).encode())
        assert settings.model_fields_set >= set(store.options.values)
        assert store.everything() == set()
