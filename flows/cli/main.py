"""The `sitehaul` command: the application object, its common options and its outermost error handling."""

import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.text import Text
from typer.exceptions import TyperException

from flows.cli.exits import ExitCode, told_errors

HELP = """Move the documents of Procore projects to file shares, and prove that every one arrived.

Start with `sitehaul demo`, or with `sitehaul connect` and `sitehaul run`."""

app = typer.Typer(
    help=HELP, no_args_is_help=True, add_completion=False, rich_markup_mode="markdown", pretty_exceptions_enable=False
)


@dataclass(slots=True)
class Leaving:
    """How this process ends. `at_once` True = without telling the Prefect server what it was not told yet, which is
    gone; Prefect would try for minutes."""

    at_once: bool = False


@dataclass(frozen=True, slots=True)
class Common:
    """What every command shares: where state lives, and whether a person or a script reads the output."""

    home: Path
    debug: bool
    console: Console
    """For people: standard error, so that --json output on standard output stays clean."""
    leaving: Leaving

    @property
    def state_folder(self) -> Path:
        """Where the jobs' state lives."""
        return self.home / "state"


def common_of(context: typer.Context) -> Common:
    """The common options of the running command."""
    common = context.find_object(Common)
    if common is None:
        raise RuntimeError("the command was invoked without its application")
    return common


def _show_version(wanted: bool) -> None:
    from importlib.metadata import version

    if wanted:
        print(f"sitehaul {version('sitehaul')}")
        raise typer.Exit


@app.callback()
def common_options(
    context: typer.Context,
    home: Annotated[
        Path | None,
        typer.Option(
            help="Where the local server and the jobs' state live (default ~/.sitehaul).",
            envvar="SITEHAUL_HOME",
            show_default=False,
        ),
    ] = None,
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks and Prefect's own messages.")] = False,
    _version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """Common to all commands."""
    folder = (home or Path.home() / ".sitehaul").expanduser().absolute()
    leaving = context.find_object(Leaving) or Leaving()
    context.obj = Common(home=folder, debug=debug, console=Console(stderr=True), leaving=leaving)


def main() -> None:
    """Run the command line; never returns. Exit codes are those of `ExitCode`."""
    leaving = Leaving()
    try:
        _run(leaving)
    except SystemExit as end:
        if leaving.at_once:
            sys.stdout.flush()
            os._exit(end.code if isinstance(end.code, int) else ExitCode.BUG)
        raise


def _run(leaving: Leaving) -> None:
    from flows.cli import commands  # noqa: F401 - importing registers the commands

    console = Console(stderr=True)
    with told_errors(console, debug="--debug" in sys.argv):
        try:
            code = app(standalone_mode=False, obj=leaving)
        except typer.Abort:
            raise KeyboardInterrupt from None
        except TyperException as error:
            _tell_usage(console, error)
            sys.exit(ExitCode.USAGE)
        sys.stdout.flush()
        sys.exit(code if isinstance(code, int) else ExitCode.DONE)


def _tell_usage(console: Console, error: TyperException) -> None:
    """What is wrong with the command's words, and where to look."""
    context = getattr(error, "ctx", None)
    command = context.command_path if context is not None else "sitehaul"
    words = error.format_message().strip()
    if words and type(error).__name__ != "NoArgsIsHelpError":
        paragraph = Text.assemble(("Error: ", "bold red"), words.rstrip(".") + f". See `{command} --help`.")
        console.print(paragraph, soft_wrap=True)
    elif context is not None:
        console.print(context.get_help(), end="")


def secret_from(file: Path | None, environment_name: str, prompt: str) -> str:
    """A secret from a file, else the environment, else a prompt that does not echo. Never empty.

    Raises typer.BadParameter when the file cannot be read or the secret is empty.
    """
    if file is not None:
        try:
            secret = file.read_text("utf-8").strip()
        except OSError as error:
            raise typer.BadParameter(f"cannot read {file}: {error.strerror}") from error
    else:
        secret = os.environ.get(environment_name) or typer.prompt(prompt, hide_input=True, err=True)
    if not secret:
        raise typer.BadParameter(f"the secret is empty; give it at the prompt, in {environment_name} or in a file")
    return secret
