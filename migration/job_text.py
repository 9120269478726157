"""Job files as text: YAML 1.2 or JSON read into plain values with the line of every key, and written again.

Only plain data: no tags, no aliases, no second document, no key twice. Dates stay text; the job's fields know what is a
date. Everything that is wrong with the text is told by line.
"""

from __future__ import annotations

import json
import re
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ruamel.yaml.nodes import Node

Place = tuple[str | int, ...]
"""Where a value is: the names of its keys and the indexes of its lists, from the top."""
BYTES_MAX = 4 * 1024 * 1024
_DEPTH_MAX = 40


@dataclass(frozen=True, slots=True)
class JobProblem:
    """One thing that is wrong with a job."""

    key: str
    """The field, with dots; empty for the text as a whole."""
    message: str
    """Completes the sentence that begins with the key."""
    line: int | None = None

    def __str__(self) -> str:
        where = f"line {self.line}: " if self.line is not None else ""
        return f"{where}{self.key} {self.message}" if self.key else f"{where}{self.message}"


@dataclass(slots=True)
class JobText:
    """What a job file says."""

    values: dict[str, Any] = field(default_factory=dict)
    lines: dict[Place, int] = field(default_factory=dict)
    """The line (from 1) of each key and list entry."""
    problems: list[JobProblem] = field(default_factory=list)

    def line_of(self, place: Place) -> int | None:
        """The line of the key, or of the nearest one around it."""
        while place and place not in self.lines:
            place = place[:-1]
        return self.lines.get(place)


def read_job_text(text: str, *, as_json: bool = False) -> JobText:
    """The values, and what is wrong with the text (then the values are what could be read)."""
    return _read_json(text) if as_json else _read_yaml(text)


def _read_json(text: str) -> JobText:
    """JSON is read as such; reading it as YAML, too, tells the lines and what is there twice."""
    try:
        values = json.loads(text)
    except (ValueError, RecursionError) as error:
        return JobText(problems=[_json_problem(error)])
    # Inside a JSON text's strings there are no bare tabs, and YAML takes none between its tokens.
    read = _read_yaml(text.replace("\t", " "))
    if not isinstance(values, dict):
        return read
    if not read.values:
        read.problems.clear()
    read.values = values
    return read


def _read_yaml(text: str) -> JobText:
    from ruamel.yaml import YAML
    from ruamel.yaml.error import MarkedYAMLError, YAMLError

    read = JobText()
    try:
        with warnings.catch_warnings(action="ignore"):
            top = YAML(typ="safe", pure=True).compose(text)
    except MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else None
        what = "there is a second document" if "another document" in str(error.problem) else error.problem
        read.problems.append(JobProblem("", f"this is not YAML: {what}", line))
        return read
    except (YAMLError, RecursionError) as error:
        read.problems.append(JobProblem("", f"this is not YAML: {str(error).splitlines()[0]}"))
        return read
    if top is None or _kind(top) != "map":
        read.problems.append(JobProblem("", "a job is one object: lines of 'key: value'", 1))
        return read
    read.values = _Reader(read).value(top, ())
    return read


def job_yaml(values: Mapping[str, Any], *, comment: str = "") -> str:
    """The values as YAML for people; what is read from it again is equal. `comment` goes on top, line by line."""
    head = "".join(f"# {line}".rstrip() + "\n" for line in comment.splitlines())
    return head + "".join(line + "\n" for line in _yaml_lines(values))


def key_text(place: Place) -> str:
    """The place as people write it: rules.filter.exclude[0]."""
    text = ""
    for part in place:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


def _json_problem(error: Exception) -> JobProblem:
    if isinstance(error, json.JSONDecodeError):
        return JobProblem("", f"this is not JSON: {error.msg}", error.lineno)
    return JobProblem("", f"this is not JSON: {error}")


_PLAIN = re.compile(r"[^\W\d][\w ./()&+@-]*(?<! )")
_WORDS_WITH_A_MEANING = ("true", "false", "null", "yes", "no", "on", "off", "y", "n")
"""For readers of YAML 1.1, too."""


def _yaml_lines(values: Mapping[str, Any]) -> Iterator[str]:
    for key, value in values.items():
        inner = list(_block(value))
        if inner:
            yield f"{_yaml_word(key)}:"
            yield from (f"  {line}" for line in inner)
        else:
            yield f"{_yaml_word(key)}: {_yaml_word(value)}"


def _block(value: Any) -> Iterator[str]:
    """The lines of an object or list, none for anything else and for empty ones."""
    if isinstance(value, Mapping):
        yield from _yaml_lines(value)
    elif isinstance(value, list | tuple):
        for part in value:
            first, *rest = list(_block(part)) or [_yaml_word(part)]
            yield f"- {first}"
            yield from (f"  {line}" for line in rest)


def _yaml_word(value: Any) -> str:
    if not isinstance(value, str):
        return json.dumps(list(value) if isinstance(value, tuple) else value)
    if _PLAIN.fullmatch(value) and value.isprintable() and value.lower() not in _WORDS_WITH_A_MEANING:
        return value
    return "".join(one if one.isprintable() else _escaped(one) for one in json.dumps(value, ensure_ascii=False))


def _escaped(character: str) -> str:
    code = ord(character)
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"


class _Reader:
    """Makes values of a composed text, and notes lines and problems."""

    def __init__(self, read: JobText) -> None:
        self._read = read
        self._seen: set[int] = set()

    def value(self, node: Node, place: Place) -> Any:
        if id(node) in self._seen or len(place) > _DEPTH_MAX:
            why = "is an alias; write the value out" if id(node) in self._seen else "is nested too deeply"
            self._problem(place, why, node)
            return None
        self._seen.add(id(node))
        kind = _kind(node)
        if kind == "map":
            return self._mapping(node, place)
        if kind == "seq":
            return [self._part(part, (*place, index)) for index, part in enumerate(node.value)]
        if kind in ("str", "timestamp"):
            return _whole(node.value)
        if kind in ("int", "float", "bool", "null"):
            try:
                return _scalar(kind, node.value)
            except ValueError:
                self._problem(place, "is not a number that a job could hold", node)
                return None
        self._problem(place, f"has the tag {node.tag}; a job is plain data", node)
        return None

    def _mapping(self, node: Node, place: Place) -> dict[str, Any]:
        values: dict[str, Any] = {}
        for key_node, value_node in node.value:
            key = key_node.value
            if not isinstance(key, str):
                self._problem(place, "has a key that is no word", key_node)
                continue
            here = (*place, _whole(key))
            if key in values:
                self._problem(here, f"is there twice; the first is in line {self._read.lines[here]}", key_node)
                continue
            self._read.lines[here] = key_node.start_mark.line + 1
            values[_whole(key)] = self.value(value_node, here)
        return values

    def _part(self, node: Node, place: Place) -> Any:
        self._read.lines[place] = node.start_mark.line + 1
        return self.value(node, place)

    def _problem(self, place: Place, message: str, node: Node) -> None:
        """An alias begins where it is, what it stands for elsewhere; so the line is that of the key."""
        known = self._read.lines.get(place) if message.startswith("is an alias") else None
        self._read.problems.append(JobProblem(key_text(place), message, known or node.start_mark.line + 1))


_KINDS = {
    "MappingNode": ("map",),
    "SequenceNode": ("seq",),
    "ScalarNode": ("str", "timestamp", "int", "float", "bool", "null"),
}


def _kind(node: Node) -> str:
    """The name of the node's tag, if it is one that such a node may have; else empty."""
    kind = str(node.tag).removeprefix("tag:yaml.org,2002:")
    return kind if kind in _KINDS.get(type(node).__name__, ()) else ""


def _whole(text: str) -> str:
    """JSON writes characters beyond U+FFFF as two escapes; together they are one."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _scalar(kind: str, text: str) -> Any:
    if kind == "null":
        return None
    if kind == "bool":
        return text.lower() in ("true", "yes", "on")
    plain = text.replace("_", "")
    if kind == "float":
        return float(re.sub(r"\.(inf|nan)$", r"\1", plain.lower()))
    try:
        return int(plain, 0)
    except ValueError:
        # Digits with a leading zero: decimal in YAML 1.2.
        return int(plain)
