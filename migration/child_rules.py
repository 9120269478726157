"""The operator's choices for jobs that make child jobs: which children there are, and where each goes.

A destination template names folders with fields in braces, for example `{company}/{project_number} {project_name}`.
Fields without a value leave nothing behind: neither doubled separators nor empty folders.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from fnmatch import fnmatchcase
from typing import Any

from pydantic import Field, field_validator

from migration.job_model import JobModel


class JobKind(StrEnum):
    """What a job consists of."""

    TRANSFER = "transfer"
    """One source and one destination."""
    FOLDER_MAPPING = "folder_mapping"
    """One child job for each first-level folder of the source; the job itself moves nothing."""
    COMPANY = "company"
    """One child job for each project that the source's connection sees; the job itself moves nothing."""


class ProjectStatus(StrEnum):
    """Which projects take part."""

    ACTIVE = "active"
    INACTIVE = "inactive"
    ALL = "all"


FIELDS: Mapping[JobKind, tuple[str, ...]] = {
    JobKind.COMPANY: (
        "company", "company_id", "project_id", "project_number", "project_name", "display_name", "stage",
    ),
    JobKind.FOLDER_MAPPING: ("folder",),
}  # fmt: skip
"""What a template may name, by the kind of the job."""
_OWN = frozenset({"project_id", "project_number", "project_name", "display_name", "folder"})
"""Fields that tell children from each other."""
_DEFAULTS = {JobKind.COMPANY: "{project_number} {project_name}", JobKind.FOLDER_MAPPING: "{folder}"}
_FIELD = re.compile(r"\{([^{}/]*)\}")
_SEPARATORS = " -_.,·|"
_EMPTY_BRACKETS = re.compile(r" ?\(\s*\)| ?\[\s*\]")


class Children(JobModel):
    """Which children a job has and where each goes."""

    template: str = Field(
        default="",
        title="Destination of each",
        description="Folders below the job's destination, with fields in braces: {company} {company_id} {project_id} "
        "{project_number} {project_name} {display_name} {stage}, or {folder} for folder mapping. A child keeps the "
        "folder it was first given. Empty: '{project_number} {project_name}', or '{folder}'.",
    )
    include: tuple[str, ...] = Field(
        default=(),
        title="Include",
        description="Glob patterns of project names or numbers (or folder names), whatever the case; empty = all.",
    )
    exclude: tuple[str, ...] = Field(
        default=(), title="Exclude", description="Patterns as in Include; what they match takes no part."
    )
    status: ProjectStatus = Field(
        default=ProjectStatus.ALL, title="Status", description="Active projects, inactive ones, or all."
    )
    stages: tuple[str, ...] = Field(
        default=(), title="Stages", description="Only projects in one of these stages (glob patterns); empty = all."
    )
    folder: str = Field(
        default="",
        title="Folder within each",
        description="Only this folder of each project or folder, parts separated by '/'; empty = everything.",
    )
    first: tuple[str, ...] = Field(
        default=(),
        title="First",
        description="Patterns as in Include; what the first one matches gets its turn first, and so on. After them "
        "come active projects, the last changed first.",
    )
    at_once: int = Field(
        default=3,
        ge=1,
        le=16,
        title="Children at once",
        description="How many children are worked on at a time.",
    )

    @field_validator("include", "exclude", "stages", "first", mode="before")
    @classmethod
    def _patterns(cls, value: Any) -> Any:
        """A text with commas is several patterns, as typed on a command line."""
        return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value

    @field_validator("folder")
    @classmethod
    def _folder_stays_inside(cls, folder: str) -> str:
        if any(part in (".", "..") for part in folder.split("/")):
            raise ValueError("the folder must not contain '.' or '..' as a part")
        return folder

    def template_of(self, kind: JobKind) -> str:
        """The template in force."""
        return self.template.strip() or _DEFAULTS[kind]


def checked_template(template: str, kind: JobKind) -> str:
    """The template, if it can be used. Raises ValueError naming the unknown field and the allowed ones, or saying that
    all children would get the same folder."""
    allowed = ", ".join("{" + name + "}" for name in FIELDS[kind])
    names = _FIELD.findall(template)
    unknown = [name for name in names if name not in FIELDS[kind]]
    if unknown:
        raise ValueError(f"the template '{template}' names {{{unknown[0]}}}, which does not exist; there are {allowed}")
    if "{" in _FIELD.sub("", template) or "}" in _FIELD.sub("", template):
        raise ValueError(f"the template '{template}' has a brace that does not belong to a field; there are {allowed}")
    if not _OWN.intersection(names):
        own = ", ".join("{" + name + "}" for name in FIELDS[kind] if name in _OWN)
        raise ValueError(f"the template '{template}' gives all children the same folder; name one of {own} in it")
    return template


@dataclass(frozen=True, slots=True)
class Rendered:
    """Names of folders, none empty. `own` is the place of the last one that tells this child from others."""

    segments: tuple[str, ...]
    own: int


def rendered(template: str, values: Mapping[str, str | None]) -> Rendered:
    """The template with a child's values. Slashes in values become `_`. Where a child has none of the values that tell
    it from others, a folder named by its `id` is added."""
    segments: list[str] = []
    own: int | None = None
    for text in template.split("/"):
        segment = _segment(text, values)
        if not segment:
            continue
        segments.append(segment)
        if any(values.get(name) for name in _OWN.intersection(_FIELD.findall(text))):
            own = len(segments) - 1
    if own is None:
        segments.append(values.get("id") or "unnamed")
    return Rendered(tuple(segments), len(segments) - 1 if own is None else own)


def _segment(text: str, values: Mapping[str, str | None]) -> str:
    """One folder's name. What separated an empty value from its neighbours goes with it, but for one separator."""
    parts = _FIELD.split(text)  # literal, field, literal, field, …, literal
    literals, filled, is_empty = [parts[0]], list[str](), False
    for name, literal in zip(parts[1::2], parts[2::2], strict=True):
        value = " ".join((values.get(name) or "").replace("/", "_").split())
        is_empty = not value
        if value:
            filled.append(value)
            literals.append(literal)
        else:
            literals[-1] = _joined(literals[-1], literal, is_first=not filled)
    if is_empty:
        literals[-1] = literals[-1].rstrip(_SEPARATORS)
    literals = [_EMPTY_BRACKETS.sub("", literal) for literal in literals]
    return "".join(one for pair in zip(literals, [*filled, ""], strict=True) for one in pair).strip()


def _joined(before: str, after: str, *, is_first: bool) -> str:
    """The two literals around an empty value as one."""
    if is_first and not before.strip(_SEPARATORS):
        return after.lstrip(_SEPARATORS)
    if before[-1:] in _SEPARATORS and after[:1] in _SEPARATORS:
        return before + after.lstrip(_SEPARATORS)
    return before + after


def matches(patterns: Sequence[str], names: Sequence[str | None]) -> int | None:
    """Which of the patterns (from 0) is the first that one of the names matches, whatever the case; None = none."""
    folded = [name.casefold() for name in names if name]
    for number, pattern in enumerate(patterns):
        if any(fnmatchcase(name, pattern.casefold()) for name in folded):
            return number
    return None
