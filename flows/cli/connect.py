"""`sitehaul connect …` and `sitehaul test`: connections are tried before they are saved."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.text import Text

from flows.cli.kinds import KindsGroup, validated
from flows.cli.main import app, common_of, secret_from
from migration.errors import ConfigurationError

if TYPE_CHECKING:
    from connectors.shared.settings import ConnectionSettings
    from migration.contract import ConnectionReport

connect = typer.Typer(no_args_is_help=True, cls=KindsGroup, help="Save a connection; it is tested first.")
app.add_typer(connect, name="connect")

_SECRET_VARIABLE = "SITEHAUL_CLIENT_SECRET"  # noqa: S105 - the variable's name, not a secret
_MARKS = {"info": ("✓", "green"), "warning": ("!", "yellow"), "problem": ("✗", "red")}

Name = Annotated[str, typer.Argument(help="The connection's name: lower-case letters, digits and '-'.")]
Force = Annotated[bool, typer.Option("--force", help="Save even if the test finds a problem.")]


@connect.command("procore")
def connect_procore(
    context: typer.Context,
    name: Name,
    company_id: Annotated[int | None, typer.Option(help="Procore's number of the company.")] = None,
    client_id: Annotated[str | None, typer.Option(help="The client id of your Procore app.")] = None,
    client_secret_file: Annotated[Path | None, typer.Option(help="A file holding the client secret.")] = None,
    environment: Annotated[
        str, typer.Option(help="production, sandbox, monthly_sandbox, federal, or custom with the two addresses.")
    ] = "production",
    login_url: Annotated[str | None, typer.Option(help="Only with --environment custom.")] = None,
    api_url: Annotated[str | None, typer.Option(help="Only with --environment custom.")] = None,
    token_host: Annotated[
        list[str] | None, typer.Option(help="Another host that may see the access token; may be repeated.")
    ] = None,
    sign_in: Annotated[
        bool, typer.Option("--sign-in", help="A person signs in (authorization code) instead of a service account.")
    ] = False,
    hourly_calls: Annotated[int, typer.Option(help="The client's allowance of calls per hour.")] = 3600,
    spike_calls: Annotated[int, typer.Option(help="The client's allowance of calls per 10 seconds.")] = 100,
    simulator: Annotated[
        Path | None, typer.Option(help="Folder of a running `sitehaul simulator`: everything is read from it.")
    ] = None,
    force: Force = False,
) -> None:
    """Save access to one Procore company. The client secret is asked for, never given as an argument."""
    from connectors.procore.settings import ProcoreSettings

    if simulator is not None:
        values = simulator_values(_simulator_facts(simulator))
    else:
        secret = secret_from(client_secret_file, _SECRET_VARIABLE, "Client secret")
        values = {
            "company_id": company_id,
            "client_id": client_id,
            "client_secret": secret,
            "environment": environment,
            "login_url": login_url,
            "api_url": api_url,
            "token_hosts": tuple(token_host) if token_host else None,
            "grant": "authorization_code" if sign_in else "client_credentials",
        }
    values |= {"hourly_calls": hourly_calls, "spike_calls": spike_calls}
    settings = validated(ProcoreSettings, {key: value for key, value in values.items() if value is not None})
    _try_and_save(context, name, settings, force=force)


@connect.command("list")
def list_saved(
    context: typer.Context, json_output: Annotated[bool, typer.Option("--json", help="For scripts.")] = False
) -> None:
    """Show the saved connections."""
    from flows.cli.ready import ready_server
    from tasks.connections import list_connections

    common = common_of(context)
    ready_server(common)
    connections = list_connections()
    if json_output:
        print(json.dumps([{"name": name, "system": system} for name, system in connections]))
        return
    for name, system in connections:
        common.console.print(f"{name}  ({system})", highlight=False)
    if not connections:
        common.console.print("No connections yet; see `sitehaul connect --help`.")


@connect.command("remove")
def remove(context: typer.Context, name: Name) -> None:
    """Forget a saved connection. Jobs that name it say so when they are run."""
    from flows.cli.ready import ready_server
    from tasks.connections import delete_connection

    common = common_of(context)
    ready_server(common)
    delete_connection(name)
    common.console.print(f"The connection {name} is forgotten.", highlight=False)


@app.command("test")
def test_connection(
    context: typer.Context,
    name: Name,
    json_output: Annotated[bool, typer.Option("--json", help="For scripts.")] = False,
) -> None:
    """Say what a saved connection can see and do. Changes nothing."""
    from flows.cli.ready import ready_server
    from tasks.connections import load_connection

    common = common_of(context)
    ready_server(common)
    report = asyncio.run(_test(name, load_connection(name)))
    if json_output:
        print(json.dumps(_report_as_json(report), ensure_ascii=False))
    else:
        _show(common.console, name, report)
    if not report.usable:
        raise ConfigurationError("connection-not-usable", f"The connection '{name}' cannot be used as it is.")


def _try_and_save(context: typer.Context, name: str, settings: ConnectionSettings, *, force: bool) -> None:
    from flows.cli.ready import ready_server
    from tasks.connections import save_connection

    common = common_of(context)
    ready_server(common)
    if settings.acts_for_a_person:
        asyncio.run(_sign_in(common.console, settings))
    report = asyncio.run(_test(name, settings))
    _show(common.console, name, report)
    if not report.usable and not force:
        raise ConfigurationError(
            "connection-not-usable",
            f"The connection '{name}' was not saved because its test found a problem.",
            fix="Mend what is marked with ✗ above, or save it anyway with --force.",
        )
    save_connection(name, settings)
    common.console.print(f"Saved as [bold]{name}[/bold].")


async def _test(name: str, settings: ConnectionSettings) -> ConnectionReport:
    from tasks.connections import opened

    async with opened(name, settings) as connector:
        return await connector.test()


async def _sign_in(console: Console, settings: ConnectionSettings) -> None:
    from connectors.registry import sign_in
    from connectors.shared.services import Services
    from tasks.tokens import PrefectTokenStore

    def tell(text: str) -> None:
        console.print(Text(text), soft_wrap=True)

    def ask(what: str) -> str:
        return str(typer.prompt(what, err=True)).strip()

    await sign_in(settings, Services(tokens=PrefectTokenStore.of(settings)), tell=tell, ask=ask)


def _simulator_facts(folder: Path) -> dict[str, Any]:
    try:
        facts: dict[str, Any] = json.loads((folder / "simulator.json").read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigurationError(
            "simulator-not-found",
            f"{folder} holds no running simulator ({error}).",
            fix=f"Start one: sitehaul simulator --folder {folder}",
        ) from error
    return facts


def simulator_values(facts: dict[str, Any]) -> dict[str, Any]:
    """The settings of a connection to the simulated Procore with these facts (its simulator.json)."""
    return {
        "environment": "custom",
        "login_url": facts["login_url"],
        "api_url": facts["api_url"],
        "token_hosts": (facts["storage_url"].split("://", 1)[1],),
        "company_id": facts["company_id"],
        "client_id": facts["client_id"],
        "client_secret": facts["client_secret"],
    }


def _report_as_json(report: ConnectionReport) -> dict[str, Any]:
    return {
        "usable": report.usable,
        "who": report.who,
        "roots": list(report.roots),
        "findings": [
            {"level": finding.level, "code": finding.code, "message": finding.message, "fix": finding.fix}
            for finding in report.findings
        ],
    }


def _show(console: Console, name: str, report: ConnectionReport) -> None:
    console.print(Text.assemble((name, "bold"), f": signed in as {report.who}" if report.who else ""))
    for finding in report.findings:
        mark, style = _MARKS.get(finding.level, ("·", ""))
        line = Text.assemble((f"  {mark} ", style), finding.message)
        if finding.fix and finding.level != "info":
            line.append(f" {finding.fix}", style="dim")
        console.print(line, soft_wrap=True)
    if report.roots:
        console.print(Text("  Can be copied: " + ", ".join(report.roots)), soft_wrap=True)


KindsGroup.save = staticmethod(_try_and_save)
