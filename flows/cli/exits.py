"""Exit codes and how errors are told: one readable paragraph with the fix, a traceback only with --debug."""

import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from enum import IntEnum

from rich.console import Console
from rich.text import Text

from migration.errors import (
    ConfigurationError,
    ContractViolation,
    PlanError,
    SiteHaulError,
    StoppedResumable,
)


class ExitCode(IntEnum):
    """What a script can tell from a command's end. Documented in docs/command-line.md."""

    DONE = 0
    BUG = 1
    USAGE = 2
    CONFIGURATION = 3
    PLAN = 4
    STOPPED_BY_ERROR = 5
    ALREADY_RUNNING = 6
    PENDING = 10
    FLAGGED = 11
    DOES_NOT_ADD_UP = 12
    INTERRUPTED = 130


def exit_code_of(error: BaseException) -> ExitCode:
    """The exit code for an error that ended a command."""
    if isinstance(error, ConfigurationError) and error.code == "already-running":
        return ExitCode.ALREADY_RUNNING
    if isinstance(error, ConfigurationError):
        return ExitCode.CONFIGURATION
    if isinstance(error, PlanError):
        return ExitCode.PLAN
    if isinstance(error, StoppedResumable):
        return ExitCode.PENDING
    if isinstance(error, KeyboardInterrupt):
        return ExitCode.INTERRUPTED
    if isinstance(error, ContractViolation):
        return ExitCode.BUG
    if isinstance(error, SiteHaulError):
        return ExitCode.STOPPED_BY_ERROR
    return ExitCode.BUG


def tell_error(console: Console, error: BaseException) -> None:
    """Print the error as one paragraph: what happened, then what to do about it."""
    paragraph = Text()
    if isinstance(error, SiteHaulError):
        paragraph.append("Error: ", style="bold red")
        paragraph.append(error.message)
        if error.fix:
            paragraph.append(" " + error.fix)
        paragraph.append(f" ({error.code})", style="dim")
    elif isinstance(error, StoppedResumable):
        paragraph.append("Stopped: ", style="bold yellow")
        paragraph.append(f"{error.reason}. Run the same command again to continue.")
        if error.resume_at:
            paragraph.append(f" That makes sense from {error.resume_at:%Y-%m-%d %H:%M} UTC on.")
    elif isinstance(error, KeyboardInterrupt):
        paragraph.append("Interrupted. ", style="bold yellow")
        paragraph.append("Nothing is lost; run the same command again to continue.")
    else:
        paragraph.append("Unexpected error: ", style="bold red")
        paragraph.append(f"{type(error).__name__}: {error}. ")
        paragraph.append("This is a bug in SiteHaul; please report it with the output of the same command and --debug.")
    console.print(paragraph, soft_wrap=True)


@contextmanager
def told_errors(console: Console, *, debug: bool) -> Iterator[None]:
    """Turn any error inside into its paragraph on `console` and the process's exit code."""
    try:
        yield
    except (SystemExit, GeneratorExit):
        raise
    except BaseException as error:  # noqa: BLE001 - the outermost edge: every error is told and becomes an exit code
        if debug:
            traceback.print_exc()
        tell_error(console, error)
        sys.exit(exit_code_of(error))
