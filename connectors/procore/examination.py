"""The connection test: who am I, what do I see, what may I do, what is left of the budget. Changes nothing."""

from dataclasses import dataclass, field
from datetime import UTC

import httpx

from connectors.procore.api import Answer, ApiClient
from connectors.procore.projects import Project, Rights, list_projects, named, rights_in
from connectors.procore.rates import Meter, server_time
from connectors.procore.settings import ProcoreSettings
from migration.clock import Clock
from migration.contract import ConnectionReport, Finding
from migration.errors import ConfigurationError, SiteHaulError, StoppedResumable

EXAMINED_MAX = 20
"""How many projects are looked into; each costs a call."""
SKEW_SECONDS = 300


async def examine(api: ApiClient, meter: Meter, settings: ProcoreSettings, clock: Clock) -> ConnectionReport:
    """Try what can be tried: three calls, and one per project up to 20. Raises only asyncio.CancelledError."""
    report = _Report()
    try:
        await _identity(api, settings, clock, report)
        await _projects(api, settings, report)
    except SiteHaulError as error:
        report.problem(error)
    except StoppedResumable as stopped:
        report.add(
            "warning",
            "budget-used-up",
            f"The calls of this hour are used up, so not everything was tried: {stopped.reason}.",
            "Test again when the window has moved (`sitehaul budget` says when).",
        )
    _rate_limits(meter, settings, report)
    return report.finished()


@dataclass(slots=True)
class _Report:
    """The findings so far."""

    who: str | None = None
    findings: list[Finding] = field(default_factory=list)
    roots: list[str] = field(default_factory=list)

    def add(self, level: str, code: str, message: str, fix: str | None = None) -> None:
        self.findings.append(Finding(level, code, message, fix))

    def problem(self, error: SiteHaulError) -> None:
        self.add("problem", error.code, error.message, error.fix)

    def finished(self) -> ConnectionReport:
        usable = all(finding.level != "problem" for finding in self.findings)
        return ConnectionReport(usable, self.who, tuple(self.findings), tuple(self.roots))


async def _identity(api: ApiClient, settings: ProcoreSettings, clock: Clock, report: _Report) -> None:
    me = await api.get("who is signed in", "/rest/v1.0/me")
    values = me.value if isinstance(me.value, dict) else {}
    report.who = f"{values.get('name') or values.get('login')} ({values.get('login')})"
    report.add("info", "signed-in", f"Signed in as {report.who}.")
    _clock_skew(me.headers, clock, report)
    companies = await api.get("the list of companies", "/rest/v1.0/companies", {"per_page": 100})
    name = _company_name(companies, settings.company_id)
    if name is None:
        report.add(
            "problem",
            "company-not-visible",
            f"This account does not see the company {settings.company_id}.",
            "Check the company id, and that the app is installed there.",
        )
    else:
        report.add("info", "company", f"The company is {name} ({settings.company_id}).")


def _company_name(answer: Answer, company_id: int) -> str | None:
    companies = answer.value if isinstance(answer.value, list) else []
    for company in companies:
        if str(company.get("id")) == str(company_id):
            return str(company.get("name"))
    return None


async def _projects(api: ApiClient, settings: ProcoreSettings, report: _Report) -> None:
    projects = await list_projects(api, settings.company_id)
    if not projects:
        report.add(
            "problem",
            "no-projects",
            "This account sees no project of the company.",
            "Let a company administrator add projects to the app's permitted projects.",
        )
        return
    report.add("info", "projects", f"It sees {_counted(len(projects), 'project')}: {named(projects)}.")
    found: list[tuple[Project, Rights]] = []
    for project in projects[:EXAMINED_MAX]:
        try:
            found.append((project, await rights_in(api, project, settings.company_id)))
        except ConfigurationError as error:
            report.add("warning", error.code, error.message, error.fix)
    _rights(found, report)
    rest = projects[EXAMINED_MAX:]
    if rest:
        report.add("info", "not-examined", f"Not looked into: {_counted(len(rest), 'more project')}.")
    report.roots = [project.name for project, rights in found if rights.documents_on]
    report.roots += [project.name for project in rest]
    if not report.roots:
        report.add(
            "problem",
            "no-documents",
            "In none of the projects can this account read documents.",
            "Switch the Documents tool on and give the account Read Only or more.",
        )


def _rights(found: list[tuple[Project, Rights]], report: _Report) -> None:
    readable = [(project, rights) for project, rights in found if rights.documents_on]
    for level in sorted({rights.level for _, rights in readable}):
        with_level = [project for project, rights in readable if rights.level == level]
        report.add("info", "rights", f"Level '{level}' in the Documents tool of {named(with_level)}.")
    _writing(readable, report)
    off = [project for project, rights in found if not rights.documents_on]
    if off:
        report.add(
            "warning",
            "documents-off",
            f"The Documents tool is off, or closed to this account, in {named(off)}.",
            "Switch it on there and give the account Read Only or more, or leave these projects out.",
        )
    blind = [project for project, rights in readable if not rights.sees_private]
    if blind:
        report.add(
            "warning",
            "private-not-visible",
            f"Private folders and files that are not shared with this account are not visible in {named(blind)}.",
            "Grant 'access private folders and files' or the Admin level if they are to be copied.",
        )


def _writing(readable: list[tuple[Project, Rights]], report: _Report) -> None:
    """What can be a destination. A source needs no more than reading, so neither is a problem."""
    writable = [project for project, rights in readable if rights.may_write]
    if writable:
        report.add("info", "writable", f"It may make folders and upload files in {named(writable)}.")
    closed = [project for project, rights in readable if not rights.may_write]
    if closed:
        report.add(
            "info",
            "read-only",
            f"It may only read in {named(closed)}, which is enough for a source and not for a destination.",
            "Give the account Standard or more in the Documents tool if files are to be copied there.",
        )


def _clock_skew(headers: httpx.Headers, clock: Clock, report: _Report) -> None:
    theirs = server_time(headers)
    if theirs is None:
        return
    seconds = (clock.now().astimezone(UTC) - theirs).total_seconds()
    if abs(seconds) > SKEW_SECONDS:
        direction = "ahead of" if seconds > 0 else "behind"
        report.add(
            "warning",
            "clock-skew",
            f"This machine's clock is {_counted(round(abs(seconds) / 60), 'minute')} {direction} Procore's. Waits go "
            "by Procore's clock, but the times in reports are this machine's.",
            "Let the machine's clock be set by a time server.",
        )


def _rate_limits(meter: Meter, settings: ProcoreSettings, report: _Report) -> None:
    reading = meter.latest
    said = (
        "Procore's answers say nothing of a rate limit."
        if reading is None
        else f"Procore says: {reading.remaining} of {reading.limit} calls left until {reading.reset_at:%H:%M:%S} UTC."
    )
    granted = f"The connection reckons with {settings.hourly_calls} calls per hour and {settings.spike_calls} per 10 s."
    report.add("info", "rate-limits", f"{granted} {said}")
    known = {settings.hourly_calls, settings.spike_calls}
    if reading is not None and reading.limit not in known:
        report.add(
            "warning",
            "rate-limits-differ",
            f"Procore's limit of {reading.limit} is neither of the two this connection reckons with.",
            "Save the connection again with the --hourly-calls and --spike-calls that Procore granted the client.",
        )


def _counted(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"
