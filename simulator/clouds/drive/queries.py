"""The language of `q`, see https://developers.google.com/workspace/drive/api/guides/ref-search-terms ."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol

from simulator.clouds.drive.refusals import Refusal, invalid

_TOKEN = re.compile(r"\s*(?:('(?:[^'\\]|\\.)*')|([A-Za-z][A-Za-z0-9.]*)|(!=|<=|>=|[=<>(){}]))\s*", re.S)
_ESCAPED = re.compile(r"\\(.)", re.S)
_TEXT_TERMS = {"name": "contains = !=", "mimeType": "contains = !=", "fullText": "contains"}
_TIME_TERMS = frozenset(("modifiedTime", "createdTime", "viewedByMeTime"))
_FLAG_TERMS = frozenset(("trashed", "starred", "sharedWithMe"))
_PROPERTY_TERMS = frozenset(("properties", "appProperties"))
_COMPARISONS: dict[str, Callable[[int, int], bool]] = {
    "=": lambda a, b: a == b, "!=": lambda a, b: a != b, "<": lambda a, b: a < b,
    "<=": lambda a, b: a <= b, ">": lambda a, b: a > b, ">=": lambda a, b: a >= b,
}  # fmt: skip


class Searchable(Protocol):
    """What a query looks at."""

    name: str
    mime_type: str
    parent: str | None
    starred: bool

    def time_ms(self, term: str) -> int | None:
        """A time in milliseconds since 1970, of `modifiedTime`, `createdTime` or `viewedByMeTime`."""

    def trashed(self) -> bool:
        """Whether it, or a folder above, is in the trash."""

    def has_property(self, kind: str, key: str, value: str) -> bool:
        """Whether it has this pair in `properties` or `appProperties`."""

    def involves(self, kind: str, email: str) -> bool:
        """Whether a person is among its `owners`, `writers` or `readers`."""


Test = Callable[[Searchable], bool]


@dataclass(frozen=True, slots=True)
class Query:
    """A parsed query."""

    test: Test
    parents: frozenset[str] | None = None
    """Nothing outside these folders can match; None: anything can."""
    mentions_trash: bool = False
    full_text: bool = False


def parsed(text: str, alias: Callable[[str], str]) -> Query:
    """The query of a text; `alias` turns `root` into the id it stands for. Raises Refusal for what it does not say."""
    tokens, at = [], 0
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None:
            raise _wrong()
        tokens.append(match[1] or match[2] or match[3])
        at = match.end()
    reader = _Reader([*tokens, ""], alias)
    query = reader.any_of()
    if reader.peek() != "":
        raise _wrong()
    return query


def _wrong() -> Refusal:
    return invalid("q")


class _Reader:
    def __init__(self, tokens: list[str], alias: Callable[[str], str]) -> None:
        self._tokens = tokens
        self._alias = alias
        self._at = 0

    def peek(self) -> str:
        return self._tokens[self._at]

    def take(self) -> str:
        token = self._tokens[self._at]
        if not token:
            raise _wrong()
        self._at += 1
        return token

    def expect(self, wanted: str) -> None:
        if self.take() != wanted:
            raise _wrong()

    def any_of(self) -> Query:
        """`and` and `or` bind equally, from left to right, unless parentheses say otherwise."""
        query = self.one()
        while self.peek() in ("and", "or"):
            query = (_both if self.take() == "and" else _either)(query, self.one())
        return query

    def one(self) -> Query:
        word = self.take()
        if word == "not":
            return _negated(self.one())
        if word == "(":
            query = self.any_of()
            self.expect(")")
            return query
        if word.startswith("'"):
            self.expect("in")
            return self._in(_unquoted(word), self.take())
        return self._term(word, self.take())

    def _in(self, value: str, term: str) -> Query:
        if term == "parents":
            parent = self._alias(value)
            return Query(lambda entry: entry.parent == parent, frozenset((parent,)))
        if term in ("owners", "writers", "readers"):
            return Query(lambda entry: entry.involves(term, value))
        raise _wrong()

    def _term(self, term: str, operator: str) -> Query:
        if term in _TEXT_TERMS and operator in _TEXT_TERMS[term].split():
            return _text(term, operator, self._text())
        if term in _TIME_TERMS and operator in _COMPARISONS:
            return _time(term, operator, self._text())
        if term in _FLAG_TERMS and operator in ("=", "!="):
            return _flag(term, operator, self.take())
        if term in _PROPERTY_TERMS and operator == "has":
            return self._property(term)
        raise _wrong()

    def _property(self, kind: str) -> Query:
        for wanted in ("{", "key", "="):
            self.expect(wanted)
        key = self._text()
        for wanted in ("and", "value", "="):
            self.expect(wanted)
        value = self._text()
        self.expect("}")
        return Query(lambda entry: entry.has_property(kind, key, value))

    def _text(self) -> str:
        token = self.take()
        if not token.startswith("'"):
            raise _wrong()
        return _unquoted(token)


def _unquoted(token: str) -> str:
    return _ESCAPED.sub(r"\1", token[1:-1])


def _both(left: Query, right: Query) -> Query:
    known = [query.parents for query in (left, right) if query.parents is not None]
    return Query(
        lambda entry: left.test(entry) and right.test(entry),
        min(known, key=len) if known else None,
        left.mentions_trash or right.mentions_trash,
        left.full_text or right.full_text,
    )


def _either(left: Query, right: Query) -> Query:
    return Query(
        lambda entry: left.test(entry) or right.test(entry),
        None if left.parents is None or right.parents is None else left.parents | right.parents,
        left.mentions_trash or right.mentions_trash,
        left.full_text or right.full_text,
    )


def _negated(query: Query) -> Query:
    return Query(lambda entry: not query.test(entry), None, query.mentions_trash, query.full_text)


def _text(term: str, operator: str, value: str) -> Query:
    """`name contains` finds beginnings of words only, letters of any case; `=` wants the whole, letters of any case."""
    folded = value.casefold()
    if operator == "contains" and term != "mimeType":
        words = re.compile(r"(?<!\w)" + re.escape(folded))
        return Query(lambda entry: words.search(entry.name.casefold()) is not None, full_text=term == "fullText")
    if operator == "contains":
        return Query(lambda entry: entry.mime_type.startswith(value))
    if term == "mimeType":
        return Query(lambda entry: (entry.mime_type == value) == (operator == "="))
    return Query(lambda entry: (entry.name.casefold() == folded) == (operator == "="))


def _time(term: str, operator: str, value: str) -> Query:
    try:
        at = datetime.fromisoformat(value)
    except ValueError:
        raise _wrong() from None
    wanted = round((at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp() * 1000)
    compare = _COMPARISONS[operator]

    def test(entry: Searchable) -> bool:
        own = entry.time_ms(term)
        return own is not None and compare(own, wanted)

    return Query(test)


def _flag(term: str, operator: str, value: str) -> Query:
    if value not in ("true", "false"):
        raise _wrong()
    wanted = (value == "true") == (operator == "=")
    if term == "trashed":
        return Query(lambda entry: entry.trashed() == wanted, mentions_trash=True)
    if term == "starred":
        return Query(lambda entry: entry.starred == wanted)
    return Query(lambda _entry: not wanted)
