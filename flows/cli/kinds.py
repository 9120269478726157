"""`sitehaul connect <kind>` for every kind of connection: the options are the fields of its settings.

Secrets are never options. One that is required is asked for; any can come from a file (`--NAME-file`) or the
variable `SITEHAUL_NAME`.
"""

from __future__ import annotations

import inspect
import os
import types
from collections.abc import Callable, Mapping
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, Union, get_args, get_origin

import typer
from typer.core import TyperGroup

from flows.cli.main import secret_from

if TYPE_CHECKING:
    from pydantic.fields import FieldInfo

    from connectors.registry import Kind
    from connectors.shared.settings import ConnectionSettings

Save = Callable[..., None]
"""Tries and saves: `(context, name, settings, force=…)`."""
_NAME_HELP = "The connection's name: lower-case letters, digits and '-'."
_OURS = frozenset({"kind"})
_HANDMADE = frozenset({"procore"})
"""Kinds whose command offers more than their fields."""


class KindsGroup(TyperGroup):
    """The group `connect`, whose commands for the kinds of connections are made when they are asked for: reading all
    settings is too much for every start of the command line."""

    save: Save

    def list_commands(self, ctx: Any) -> list[str]:
        from connectors.registry import KINDS

        own = super().list_commands(ctx)
        return [*(name for name in KINDS if name not in own), *own]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        own = super().get_command(ctx, cmd_name)
        return own if own is not None else _commands(self.save).get(cmd_name)


def _commands(save: Save) -> Mapping[str, Any]:
    from connectors.registry import KINDS

    made = typer.Typer()
    for kind in KINDS.values():
        if kind.name not in _HANDMADE:
            made.command(kind.name)(_function(kind, save))
    made.callback()(lambda: None)
    commands: Mapping[str, Any] = typer.main.get_group(made).commands
    return commands


def _function(kind: Kind, save: Save) -> Callable[..., None]:
    fields = {name: field for name, field in kind.settings.model_fields.items() if name not in _OURS}

    def connect(context: typer.Context, name: str, force: bool, **given: Any) -> None:
        values: dict[str, Any] = {}
        for field_name, field in fields.items():
            value = _secret(field_name, field, given) if _is_secret(field) else _plain(given[field_name])
            if value is not None and value != []:
                values[field_name] = value
        save(context, name, validated(kind.settings, values), force=force)

    connect.__doc__ = f"Save access to {kind.about}."
    parameters = [
        _parameter("context", typer.Context),
        _parameter("name", Annotated[str, typer.Argument(help=_NAME_HELP)]),
        *(_option(name, field) for name, field in fields.items()),
        _parameter(
            "force", Annotated[bool, typer.Option("--force", help="Save even if the test finds a problem.")], False
        ),
    ]
    connect.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    connect.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return connect


def validated(model: type[ConnectionSettings], values: Mapping[str, Any]) -> ConnectionSettings:
    """The settings of these values. Raises ConfigurationError `connection-settings` saying what does not fit."""
    from pydantic import ValidationError

    from connectors.registry import problems_of
    from migration.errors import ConfigurationError

    try:
        return model(**values)
    except ValidationError as error:
        raise ConfigurationError(
            "connection-settings",
            f"The connection's settings are incomplete or wrong: {problems_of(error)}.",
            fix=f"See `sitehaul connect {model.model_fields['kind'].default} --help`.",
        ) from None


def _option(name: str, field: FieldInfo) -> inspect.Parameter:
    about = field.description or ""
    if _is_secret(field):
        about = f"A file that holds it. {about}" + ("" if field.is_required() else " '-' asks for it.")
        option = typer.Option(f"--{name.replace('_', '-')}-file", help=about, show_default=False)
        return _parameter(name, Annotated[Path | None, option], None)
    about = f"{about or 'What it is called in reports.'}{_default(field)}"
    option = typer.Option(f"--{name.replace('_', '-')}", help=about, show_default=False)
    if _inner(field) is bool:
        option = typer.Option(help=about, show_default=False)
    return _parameter(name, Annotated[_typed(field), option], None)


def _parameter(name: str, annotation: Any, default: Any = inspect.Parameter.empty) -> inspect.Parameter:
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation)


def _typed(field: FieldInfo) -> Any:
    inner = _inner(field)
    if get_origin(inner) is Literal:
        return Enum("Choice", {str(value): str(value) for value in get_args(inner)}) | None  # type: ignore[operator]
    if get_origin(inner) in (tuple, list, frozenset):
        return list[str] | None
    return (inner if inner in (int, float, bool, Path) or _is_enum(inner) else str) | None


def _inner(field: FieldInfo) -> Any:
    """The field's type without its None."""
    annotation = field.annotation
    if get_origin(annotation) in (Union, types.UnionType):
        return next(one for one in get_args(annotation) if one is not type(None))
    return annotation


def _is_enum(inner: Any) -> bool:
    return isinstance(inner, type) and issubclass(inner, Enum)


def _is_secret(field: FieldInfo) -> bool:
    from pydantic import SecretStr

    return _inner(field) is SecretStr


def _secret(name: str, field: FieldInfo, given: Mapping[str, Any]) -> str | None:
    file: Path | None = given[name]
    variable = f"SITEHAUL_{name.upper()}"
    prompt = name.replace("_", " ").capitalize()
    if file is None and not field.is_required():
        return os.environ.get(variable)
    return secret_from(None if str(file) == "-" else file, variable, prompt)


def _plain(value: Any) -> Any:
    """A given value as settings take it: whole paths, and the words of choices."""
    if isinstance(value, Path):
        return value.expanduser().absolute()
    return value.value if isinstance(value, Enum) else value


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return " (required)"
    if field.default in (None, "", ()):
        return ""
    return f" (default: {_plain(field.default)})"
