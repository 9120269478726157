"""Which projects a connection sees, which of them a job means, and what the account may do there."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from connectors.procore.api import ApiClient, Query
from connectors.procore.errors import ProcoreRefusal
from connectors.procore.records import time_of
from migration.contract import FoundChild
from migration.errors import ConfigurationError

PROJECTS_PER_PAGE = 300
"""The documented maximum of v1.1."""
NAMED_MAX = 20
_ADMIN_LEVEL = 4
_STANDARD_LEVEL = 3
_NONE_LEVEL = 1


@dataclass(frozen=True, slots=True)
class Project:
    """One visible project."""

    id: str
    name: str
    number: str | None
    display_name: str | None

    @property
    def names(self) -> tuple[str, ...]:
        """Everything a job may call it by."""
        return tuple(filter(None, (self.id, self.name, self.number, self.display_name)))


@dataclass(frozen=True, slots=True)
class Rights:
    """What the account may do with a project's documents."""

    documents_on: bool
    """The Documents tool is on, and the account may at least read in it."""
    level: str
    sees_private: bool
    may_write: bool = False
    """Make folders, upload files and versions, move."""
    may_delete: bool = False


async def list_projects(api: ApiClient, company_id: int) -> list[Project]:
    """Every project the account sees, in Procore's order; one call per 300.

    Raises what `ApiClient.get` raises.
    """
    return [_project(values) for values in await _records(api, company_id, {"view": "compact"})]


async def find_project(api: ApiClient, company_id: int, wanted: str) -> Project:
    """The project that a path means by its first part: the one with this id, else as `choose` says. An id takes one
    call, however many projects there are.

    Raises as `choose`, and what `ApiClient.get` raises.
    """
    if wanted.isascii() and wanted.isdigit():
        for values in await _records(api, company_id, {"view": "compact", "filters[id]": wanted}):
            if str(values["id"]) == wanted:
                return _project(values)
    return choose(await list_projects(api, company_id), wanted)


async def company_projects(api: ApiClient, company_id: int) -> tuple[FoundChild, ...]:
    """The same with what a job over the whole company asks: stage, whether it is active, and times.

    Raises what `ApiClient.get` raises.
    """
    return tuple(_found(values, company_id) for values in await _records(api, company_id, {"view": "normal"}))


async def _records(api: ApiClient, company_id: int, wanted: Query) -> list[Mapping[str, Any]]:
    projects: dict[str, Mapping[str, Any]] = {}
    page, more = 1, True
    while more:
        query: Query = {"company_id": company_id, **wanted, "page": page, "per_page": PROJECTS_PER_PAGE}
        answer = await api.get("the list of projects", "/rest/v1.1/projects", query)
        found = _list(answer.value)
        new = {str(values["id"]): values for values in found if str(values["id"]) not in projects}
        projects.update(new)
        more = bool(new) and (len(projects) < answer.total if answer.total is not None else bool(found))
        page += 1
    return list(projects.values())


def choose(projects: Sequence[Project], wanted: str) -> Project:
    """The project whose id, name, number or displayed name is `wanted`: exactly, or else whatever the case.

    Raises ConfigurationError `project-not-found` or `project-ambiguous`, naming the candidates.
    """
    plain: Callable[[str], str]
    for plain in (str, str.casefold):
        found = [project for project in projects if plain(wanted) in map(plain, project.names)]
        if len(found) == 1:
            return found[0]
        if found:
            raise ConfigurationError(
                "project-ambiguous",
                f"'{wanted}' means {len(found)} projects: {_listed(f'{one.name} (id {one.id})' for one in found)}.",
                fix="Begin the path with the project's id.",
            )
    raise ConfigurationError(
        "project-not-found",
        f"There is no project '{wanted}' that this account sees; it sees {named(projects)}.",
        fix="Check the name, or let a company administrator add the project to the app's permitted projects.",
    )


def named(projects: Sequence[Project]) -> str:
    """The projects' names for a message."""
    return _listed(project.name for project in projects) if projects else "none at all"


async def rights_in(api: ApiClient, project: Project, company_id: int) -> Rights:
    """What the account may do in the project's Documents tool; one call.

    Raises ConfigurationError `project-not-permitted`, and what `ApiClient.get` raises.
    """
    query: Query = {"project_id": project.id, "company_id": company_id}
    try:
        answer = await api.get(f"the rights in '{project.name}'", "/rest/v1.0/settings/permissions", query)
    except ProcoreRefusal as refusal:
        if refusal.status not in (403, 404):
            raise
        raise not_permitted(project, refusal.text) from refusal
    tools = answer.value.get("tools") if isinstance(answer.value, dict) else None
    for tool in _list(tools):
        if tool.get("name") == "documents":
            return _rights(tool)
    return Rights(documents_on=False, level="None", sees_private=False)


def project_needed(projects: Sequence[Project]) -> ConfigurationError:
    """The job names no project."""
    return ConfigurationError(
        "project-needed",
        f"The path names no project; this account sees {named(projects)}.",
        fix="Begin the path of the job with a project's name, number or id.",
    )


def not_permitted(project: Project, text: str) -> ConfigurationError:
    """The project is there, but this account may not enter it."""
    return ConfigurationError(
        "project-not-permitted",
        f"This account is not permitted to the project '{project.name}' (Procore says: {text or 'nothing'}).",
        fix="Let a company administrator add the project to the app's permitted projects.",
    )


def documents_off(project: Project) -> ConfigurationError:
    """The project has no documents for this account."""
    return ConfigurationError(
        "documents-off",
        f"The Documents tool of the project '{project.name}' is off, or this account has no rights in it.",
        fix="Switch the tool on in the project's settings and give the account Read Only or more, "
        "or leave the project out.",
    )


def documents_refused(project_name: str, text: str) -> ConfigurationError:
    """Procore does not list the project's documents for this account."""
    return ConfigurationError(
        "documents-refused",
        f"Procore refuses the documents of the project '{project_name}': {text or 'no reason given'}.",
        fix="Check that the Documents tool is on and that this account has rights in it (`sitehaul test`).",
    )


def _project(values: Mapping[str, Any]) -> Project:
    number = values.get("project_number")
    return Project(str(values["id"]), str(values["name"]), str(number) if number else None, values.get("display_name"))


def _found(values: Mapping[str, Any], company_id: int) -> FoundChild:
    """https://developers.procore.com/reference/rest/projects: the normal view has stage, company and times."""
    project, company = _project(values), values.get("company") or {}
    active = values.get("active")
    return FoundChild(
        id=project.id,
        name=project.name,
        path=(project.id,),
        number=project.number,
        display_name=project.display_name,
        stage=values.get("stage") or None,
        is_active=active if isinstance(active, bool) else None,
        changed_at=time_of(values.get("updated_at")),
        created_at=time_of(values.get("created_at")),
        company=company.get("name") or None,
        company_id=str(company.get("id") or company_id),
    )


def _rights(tool: Mapping[str, Any]) -> Rights:
    level = tool.get("user_access_level") or {}
    number = level.get("id") or _NONE_LEVEL
    actions = [str(action.get("action_name", "")) for action in _list(tool.get("permitted_actions"))]
    return Rights(
        documents_on=bool(tool.get("available_for_user")),
        level=str(level.get("name") or number),
        sees_private=number >= _ADMIN_LEVEL or any("private" in action for action in actions),
        may_write=bool(tool.get("available_for_user")) and number >= _STANDARD_LEVEL,
        may_delete=number >= _ADMIN_LEVEL or any("destroy" in action for action in actions),
    )


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _listed(names: Iterable[str]) -> str:
    every = list(names)
    shown = ", ".join(f"'{name}'" if "(id " not in name else name for name in every[:NAMED_MAX])
    more = len(every) - NAMED_MAX
    return f"{shown} and {more} more" if more > 0 else shown
