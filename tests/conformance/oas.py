"""Answers and requests held against Procore's OpenAPI description, and stricter: no key may be missing or invented."""

import json
from functools import lru_cache
from pathlib import Path
from typing import Any

import httpx
from openapi_core import OpenAPI
from openapi_core.datatypes import RequestParameters
from werkzeug.datastructures import Headers, ImmutableMultiDict

SUBSET = Path(__file__).with_name("procore-oas-subset.json")
HOST = "http://api.test"

# What API.md section 11 asks for although the subset lists another or no status for it.
BEYOND_THE_SUBSET = {
    ("post", "/rest/v1.0/file_versions", 404),
    ("post", "/rest/v1.0/file_versions", 409),
    ("get", "/rest/v1.0/settings/permissions", 403),
    ("get", "/rest/v1.0/folders", 400),
    ("get", "/rest/v1.0/files/{id}", 400),
    ("get", "/rest/v1.0/projects", 400),
    ("get", "/rest/v1.0/projects/{project_id}/documents", 400),
    ("get", "/rest/v2.0/projects/{project_id}/documents", 400),
}


@lru_cache(maxsize=1)
def description() -> dict[str, Any]:
    content: dict[str, Any] = json.loads(SUBSET.read_text("utf-8"))
    return {**content, "servers": [{"url": HOST}]}


@lru_cache(maxsize=1)
def _openapi() -> OpenAPI:
    return OpenAPI.from_dict(description())


def is_beyond(method: str, address: str, status: int) -> bool:
    """Whether the description leaves this answer open."""
    path = address.partition("?")[0]
    pattern = next(iter(_patterns(path, method.lower())), path)
    return (method.lower(), pattern, status) in BEYOND_THE_SUBSET


class _Request:
    def __init__(self, request: httpx.Request) -> None:
        self.host_url = HOST
        self.path = request.url.path
        self.path_pattern = None
        self.method = request.method.lower()
        self.content_type = request.headers.get("content-type", "").partition(";")[0]
        self.full_content_type = request.headers.get("content-type", "")
        self.body = request.read() or None
        self.parameters = RequestParameters(
            query=ImmutableMultiDict(request.url.params.multi_items()), header=Headers(request.headers.items())
        )


class _Response:
    def __init__(self, response: httpx.Response) -> None:
        self.status_code = response.status_code
        self.headers = Headers(response.headers.items())
        self.content_type = response.headers.get("content-type", "").partition(";")[0]
        self.data = response.content


def check_request(request: httpx.Request) -> None:
    """Fails if the description does not allow the request."""
    if "multipart" not in request.headers.get("content-type", ""):
        _openapi().validate_request(_Request(request))


def check_response(response: httpx.Response) -> None:
    """Fails if the description does not allow the answer, or if the answer has a key too few or too many."""
    request = _Request(response.request)
    path = next(iter(_patterns(request.path, request.method)), request.path)
    if (request.method, path, response.status_code) in BEYOND_THE_SUBSET:
        return
    _openapi().validate_response(request, _Response(response))
    declared = description()["paths"][path][request.method]["responses"][str(response.status_code)]
    schema = resolved(declared).get("content", {}).get("application/json", {}).get("schema")
    if schema is not None and response.status_code < 300:
        problems = list(shape_problems(schema, response.json(), "$"))
        assert not problems, problems[:5]


def _patterns(path: str, method: str) -> list[str]:
    found = []
    for pattern, operations in description()["paths"].items():
        parts, wanted = pattern.split("/"), path.split("/")
        same = len(parts) == len(wanted) and all(
            part.startswith("{") or part == want for part, want in zip(parts, wanted, strict=True)
        )
        if same and method in operations:
            found.append(pattern)
    return sorted(found, key=lambda pattern: pattern.count("{"))


def resolved(schema: dict[str, Any]) -> dict[str, Any]:
    while "$ref" in schema:
        node: Any = description()
        for part in schema["$ref"].removeprefix("#/").split("/"):
            node = node[part]
        schema = node
    if "allOf" in schema and len(schema["allOf"]) == 1:
        return {**schema, **resolved(schema["allOf"][0])}
    return schema


def shape_problems(schema: dict[str, Any], value: Any, where: str) -> Any:
    """Keys that the description names and the value lacks, or the other way round."""
    schema = resolved(schema)
    if value is None:
        return
    if schema.get("type") == "array":
        for number, part in enumerate(value):
            yield from shape_problems(schema["items"], part, f"{where}[{number}]")
    properties = schema.get("properties")
    if not properties or not isinstance(value, dict):
        return
    for key in set(value) - set(properties):
        yield f"{where}.{key} is not in the description"
    for key in set(properties) - set(value) - _OPTIONAL_KEYS:
        yield f"{where}.{key} is missing"
    for key, part in properties.items():
        if key in value:
            yield from shape_problems(part, value[key], f"{where}.{key}")


# Keys of another view or another kind of the same schema: the index's normal view, plain and segmented uploads.
_OPTIONAL_KEYS = {
    "is_tracked", "private_parent", "tracked_folder", "file", "children", "url", "fields", "segments", "status", "etag",
    "md5", "headers", "has_private_ancestor", "checked_out_by",
}  # fmt: skip
