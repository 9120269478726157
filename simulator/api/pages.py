"""Pagination: which page was asked for, and the headers that tell about the others (API.md section 11.5)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar
from urllib.parse import parse_qsl, urlencode

from simulator.api.errors import ApiError, invalid
from simulator.api.request import ApiRequest, number_like
from simulator.web import Header

V2_DEFAULT, V2_MAX = 10, 100
V11_PROJECTS_MAX = 300

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Page:
    """A page by its number, counted from 1, and its size."""

    number: int
    size: int

    def of(self, everything: Sequence[T]) -> Sequence[T]:
        """The page's part; empty past the end."""
        start = (self.number - 1) * self.size
        return everything[start : start + self.size]


def asked(request: ApiRequest, *, default: int | None = None, size_max: int = 0) -> Page:
    """The page the query asks for. Raises ApiError 400 for numbers that are none or below 1.

    `size_max` clamps silently (0 = no clamp); version 2 has its own default and clamp, an error by switch.
    """
    if request.v2:
        default, size_max = V2_DEFAULT, V2_MAX
    size = _positive(request, "per_page", default or request.settings.per_page_default)
    if request.v2 and size > V2_MAX and request.settings.v2_per_page_error:
        raise ApiError(400, f"per_page must be at most {V2_MAX}", field="per_page")
    return Page(_positive(request, "page", 1), min(size, size_max) if size_max else size)


def headers(request: ApiRequest, page: Page, total: int) -> list[Header]:
    """`Total`, `Per-Page` and, where there is more than one page, `Link`."""
    result = [(b"total", str(total).encode()), (b"per-page", str(page.size).encode())]
    last = max(1, -(-total // page.size))
    numbers: dict[str, int] = {}
    if page.number > 1:
        numbers |= {"first": 1, "prev": min(page.number - 1, last)}
    if page.number < last:
        numbers |= {"next": page.number + 1, "last": last}
    if numbers:
        link = ", ".join(f'<{_address(request, at, page.size)}>; rel="{name}"' for name, at in numbers.items())
        result.append((b"link", link.encode("latin-1")))
    return result


def _positive(request: ApiRequest, name: str, default: int) -> int:
    text = request.call.first(name)
    if text is None or text == "":
        return default
    if not number_like(text) or int(text) < 1:
        raise invalid(name, "must be a positive number")
    return int(text)


def _address(request: ApiRequest, page: int, size: int) -> str:
    scope = request.call.scope
    pairs = parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)
    kept = [(key, value) for key, value in pairs if key not in ("page", "per_page")]
    query = urlencode([*kept, ("page", str(page)), ("per_page", str(size))])
    return f"{request.state.urls['api']}{request.call.path}?{query}"
