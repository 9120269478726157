"""`sitehaul connect <kind>`: the options are the fields of the settings, and secrets are none."""

from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from connectors.registry import KINDS
from connectors.webdav.settings import WebDavSettings
from flows.cli.kinds import _commands
from migration.errors import ConfigurationError

saved: list[tuple[str, Any, bool]] = []


def save(context: object, name: str, settings: Any, *, force: bool) -> None:
    saved.append((name, settings, force))


def connect(kind: str, *words: str) -> tuple[str, Any, bool]:
    saved.clear()
    _commands(save)[kind].main(list(words), standalone_mode=False)
    (one,) = saved
    return one


@pytest.mark.parametrize("kind", [name for name in KINDS if name != "procore"])
def test_every_field_is_an_option_and_no_secret_is_one(kind: str) -> None:
    command = _commands(save)[kind]
    options = {word for parameter in command.params for word in parameter.opts}
    for name, field in KINDS[kind].settings.model_fields.items():
        if name == "kind":
            continue
        is_secret = "SecretStr" in str(field.annotation)
        option = f"--{name.replace('_', '-')}"
        assert (f"{option}-file" in options) == is_secret or "_file" in name, name
        assert (option in options) != is_secret, name
        assert is_secret or field.description or name == "display_name", f"{kind}: {name} says nothing of itself"


def test_values_of_every_sort_become_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    name, settings, force = connect(
        "filesystem", "archive", "--folder", "copied", "--names", "windows", "--read-only", "--bytes-per-second",
        "1000000", "--force",
    )  # fmt: skip
    assert (name, force) == ("archive", True)
    assert (settings.folder, settings.names, settings.durability) == (tmp_path / "copied", "windows", "batch")
    assert (settings.read_only, settings.bytes_per_second) == (True, 1_000_000)


def test_secrets_come_from_a_file_or_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    words = ("cloud", "--url", "https://cloud.example.com/dav", "--username", "me")
    (tmp_path / "password").write_text("from a file\n")
    _, settings, _ = connect("webdav", *words, "--password-file", str(tmp_path / "password"))
    assert settings.password == SecretStr("from a file")
    monkeypatch.setenv("SITEHAUL_PASSWORD", "from the environment")
    _, settings, _ = connect("webdav", *words)
    assert settings.password == SecretStr("from the environment")
    assert isinstance(settings, WebDavSettings)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("x",), "url: Field required"),
        (("x", "--url", "https://c.example.com", "--username", "me"), "username and password belong together"),
        (("x", "--url", "http://c.example.com"), "https://"),
    ],
)
def test_what_is_missing_or_wrong_is_said_and_nothing_is_saved(words: tuple[str, ...], said: str) -> None:
    saved.clear()
    with pytest.raises(ConfigurationError) as caught:
        _commands(save)["webdav"].main(list(words), standalone_mode=False)
    assert said in caught.value.message
    assert caught.value.fix
    assert "sitehaul connect webdav --help" in caught.value.fix
    assert saved == []
