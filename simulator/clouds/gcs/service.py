"""A simulated Google Cloud Storage: which call goes where, who may do what, and what every call has to satisfy.

Written from the description of the JSON API (https://storage.googleapis.com/$discovery/rest?version=v1) and the guides
at https://cloud.google.com/storage/docs . There is no XML API here. Objects have no folders: `/` is a character.
"""

import re
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from typing import Any
from urllib.parse import parse_qsl, unquote

import orjson

from simulator.clouds.base import (
    Answer,
    Call,
    Content,
    Path,
    Refused,
    Service,
    download,
    json_answer,
    json_object,
    received,
)
from simulator.clouds.gcs import listing, refusals
from simulator.clouds.gcs.conditions import check, number
from simulator.clouds.gcs.edits import changed, checked_sums, components, rewritten
from simulator.clouds.gcs.masks import parsed, picked
from simulator.clouds.gcs.switches import GcsSwitches
from simulator.clouds.gcs.tokens import KEEPER, PERMISSIONS, TokenHost, scopes_allow
from simulator.clouds.gcs.uploads import Uploads
from simulator.clouds.gcs.world import (
    BUCKET,
    VERSIONED,
    WRITABLE,
    Bucket,
    Object,
    World,
    described,
    metadata_problem,
    name_problem,
)

_GLOBAL = frozenset(("alt", "fields", "key", "oauth_token", "prettyPrint", "quotaUser", "uploadType", "userIp",
                     "access_token", "userProject"))  # fmt: skip
_CONDITIONS = frozenset(
    ("ifGenerationMatch", "ifGenerationNotMatch", "ifMetagenerationMatch", "ifMetagenerationNotMatch")
)
_SOURCE = frozenset(name.replace("if", "ifSource", 1) for name in _CONDITIONS) | {"sourceGeneration"}
_COPYING = _CONDITIONS | _SOURCE | {"destinationKmsKeyName", "destinationPredefinedAcl", "projection"}
_READING = _CONDITIONS | {"generation", "projection"}
Handler = Callable[[Call, list[str]], Awaitable[Answer]]


class Gcs(Service[GcsSwitches]):
    """Google Cloud Storage with two buckets, one of them versioned, and four service accounts."""

    hosts = {  # noqa: RUF012 typed in the base
        "api": "/storage/v1", "upload": "/upload/storage/v1", "download": "/download/storage/v1", "token": "/token",
    }  # fmt: skip

    def __init__(self, url: str, switches: GcsSwitches) -> None:
        super().__init__(url, switches)
        self.world = World()
        self.uploads = Uploads(self)
        self.token_host = TokenHost(self.tokens, f"{url}/token")
        self.credentials = {"bucket": BUCKET, "versioned_bucket": VERSIONED, "service_account": KEEPER}
        self._written_at: dict[tuple[str, str], float] = {}
        self._routes: list[tuple[str, re.Pattern[str], frozenset[str], Handler]] = [
            ("GET", re.compile("b/([^/]+)"), frozenset({"projection"}) | _CONDITIONS, self._bucket),
            ("GET", re.compile("b/([^/]+)/o"), listing.PARAMETERS, self._list),
            ("GET", re.compile("b/([^/]+)/o/([^/]+)"), _READING, self._get),
            ("PATCH", re.compile("b/([^/]+)/o/([^/]+)"), _READING | {"predefinedAcl"}, self._patch),
            ("DELETE", re.compile("b/([^/]+)/o/([^/]+)"), _CONDITIONS | {"generation"}, self._delete),
            ("POST", re.compile("b/([^/]+)/o/([^/]+)/compose"), _CONDITIONS | {"kmsKeyName"}, self._compose),
            ("POST", re.compile("b/([^/]+)/o/([^/]+)/copyTo/b/([^/]+)/o/([^/]+)"), _COPYING, self._copy),
            ("POST", re.compile("b/([^/]+)/o/([^/]+)/rewriteTo/b/([^/]+)/o/([^/]+)"),
             _COPYING | {"rewriteToken", "maxBytesRewrittenPerCall"}, self._rewrite),
        ]  # fmt: skip
        self.rewrites: dict[str, int] = {}

    async def answer(self, call: Call) -> Answer:
        path = call.scope["raw_path"].decode("latin-1").partition("?")[0]
        if path == "/token":
            return await self._token(call)
        if path.startswith("/upload/storage/v1/b/"):
            return await self._uploaded(call, path.removeprefix("/upload/storage/v1/"))
        path = path.removeprefix("/download").removeprefix("/storage/v1/")
        found = False
        for method, pattern, parameters, handler in self._routes:
            match = pattern.fullmatch(path)
            if match is None:
                continue
            found = True
            if method == call.method or (method == "GET" and call.method == "HEAD"):
                _known(call, parameters)
                return _masked(await handler(call, [unquote(one) for one in match.groups()]), call)
        if found:
            raise refusals.refused(405, "methodNotAllowed", "Method Not Allowed")
        raise refusals.refused(404, "notFound", "Not Found")

    def refusal(self, kind: str, call: Call, values: Mapping[str, Any]) -> Answer:
        answer = {
            "401": refusals.bad_token(True), "403": refusals.forbidden(KEEPER, "create"),
            "404": refusals.no_object(BUCKET, call.path.rpartition("/")[2]), "429": refusals.over_rate(),
            "quota": refusals.over_quota(),
        }.get(kind, refusals.failed(int(kind) if kind.isdecimal() else 500)).answer  # fmt: skip
        if kind in ("429", "503") and values.get("retry_after") is not None:
            answer.headers.append((b"retry-after", str(values["retry_after"]).encode()))
        return answer

    def unfinished(self) -> int:
        return len(self.uploads.open())

    def permit(self, call: Call, *permissions: str) -> str:
        """Who calls. Raises Refused if the token is not good, or not for this."""
        given = call.bearer or call.first("access_token")
        grant = self.tokens.grant(given, "access")
        if grant is None:
            raise refusals.bad_token(given is not None)
        user = str(grant.values["user"])
        for permission in permissions:
            if not scopes_allow(grant.values["scopes"], permission):
                raise refusals.narrow_token()
            self.allow(user, permission)
        return user

    def allow(self, user: str, permission: str) -> None:
        """Raises Refused if the service account may not do that."""
        readonly = self.switches.read_only and permission not in ("get", "list")
        if permission not in PERMISSIONS[user] or readonly:
            raise refusals.forbidden(user, permission)

    def in_bucket(self, name: str) -> Bucket:
        """The bucket. Raises Refused for none."""
        if name not in self.world.buckets:
            raise refusals.no_bucket(name)
        return self.world.buckets[name]

    def found(self, call: Call, bucket: str, name: str, generation: str = "generation") -> Object:
        """The generation asked for. Raises Refused for none."""
        one = self.in_bucket(bucket).find(name, number(call.query, generation))
        if one is None:
            raise refusals.no_object(bucket, name)
        return one

    def sound(self, name: str, fields: Mapping[str, Any]) -> None:
        """Raises Refused if there may be no such object."""
        problem = name_problem(name) or metadata_problem(fields.get("metadata") or {})
        if problem is not None:
            raise refusals.invalid(problem, "name") if name else refusals.refused(400, "required", problem, "name")
        unknown = sorted(set(fields) - WRITABLE - {"name", "bucket", "md5Hash", "crc32c", "kind", "size"})
        if unknown:
            raise refusals.invalid(f"Invalid argument: {unknown[0]}")

    def make(
        self, call: Call, user: str, bucket: str, name: str, fields: Mapping[str, Any], content: Content,
        made_of: int | None = None,
    ) -> Answer:  # fmt: skip
        """Make an object's new generation live. Raises Refused."""
        return self.described(self.made(call, user, bucket, name, fields, content, made_of), call)

    def made(
        self, call: Call, user: str, bucket: str, name: str, fields: Mapping[str, Any], content: Content,
        made_of: int | None = None,
    ) -> Object:  # fmt: skip
        """Make an object's new generation live. Raises Refused."""
        home = self.in_bucket(bucket)
        self.sound(name, fields)
        self.allow(user, "create")
        there = home.live.get(name)
        check(call.query, there)
        if there is not None:
            self.allow(user, "delete")
        checked_sums(fields, content)
        if self.switches.quota_bytes is not None:
            used = self.world.used_bytes() + content.size_bytes
            if used > self.switches.quota_bytes:
                raise refusals.over_quota()
        self._paced(bucket, name)
        return self._put(home, name, content, dict(fields), self.now(), made_of)

    def described(self, one: Object, call: Call) -> Answer:
        """The object as an answer."""
        return json_answer(described(one, self.url, full=call.first("projection") == "full"))

    def _put(
        self, home: Bucket, name: str, content: Content, fields: dict[str, Any], now: datetime,
        made_of: int | None = None,
    ) -> Object:  # fmt: skip
        kept = {key: value for key, value in fields.items() if key in WRITABLE and value not in (None, {})}
        new = Object(home.name, name, self.world.next_generation(now), content, kept, now, now, components=made_of)
        home.put(new)
        return new

    def _paced(self, bucket: str, name: str) -> None:
        now, key = self.clock.now(), (bucket, name)
        if self.switches.object_writes_per_second and now - self._written_at.get(key, 0.0) < 1:
            raise refusals.over_rate(
                f"The object {bucket}/{name} exceeded the rate limit for object mutation operations (create, update, "
                "and delete). Please reduce your request rate."
            )
        self._written_at[key] = now

    async def _token(self, call: Call) -> Answer:
        form = dict(parse_qsl((await received(call)).decode("latin-1"), keep_blank_values=True))
        return self.token_host.answer(form, self.clock.now(), self.switches.token_lifetime_seconds)

    async def _uploaded(self, call: Call, path: str) -> Answer:
        if call.first("upload_id") is not None:
            return await self.uploads.answer(call)
        parts = path.split("/")
        if call.method != "POST" or len(parts) != 3 or parts[2] != "o":
            raise refusals.refused(404, "notFound", "Not Found")
        _known(call, _CONDITIONS | {"contentEncoding", "kmsKeyName", "name", "predefinedAcl", "projection"})
        user = self.permit(call, "create")
        self.in_bucket(unquote(parts[1]))
        return _masked(await self.uploads.begin(unquote(parts[1]), call, user), call)

    async def _bucket(self, call: Call, names: list[str]) -> Answer:
        user = self.permit(call)
        bucket = self.in_bucket(names[0])
        if not self.switches.buckets_described:
            raise refusals.forbidden(user, "get", "buckets")
        return json_answer({
            "kind": "storage#bucket", "id": bucket.name, "name": bucket.name, "location": "EU",
            "storageClass": "STANDARD", "versioning": {"enabled": bucket.versioned}, "metageneration": "1",
        })  # fmt: skip

    async def _list(self, call: Call, names: list[str]) -> Answer:
        self.permit(call, "list")
        return json_answer(listing.page(self.in_bucket(names[0]), call, self.switches, self.url))

    async def _get(self, call: Call, names: list[str]) -> Answer:
        self.permit(call, "get")
        media = call.first("alt") == "media"
        try:
            one = self.found(call, *names)
        except Refused:
            if media:  # what a download refuses is said in plain words
                return Answer.text(f"No such object: {names[0]}/{names[1]}", 404, "text/html")
            raise
        check(call.query, one, reading=True)
        if not media:
            return self.described(one, call)
        sums = f"crc32c={one.crc32c}" + ("" if one.md5 is None else f",md5={one.md5}")
        headers = [
            (b"content-type", str(one.fields.get("contentType", "application/octet-stream")).encode()),
            (b"etag", one.etag.encode()), (b"x-goog-generation", str(one.generation).encode()),
            (b"x-goog-metageneration", str(one.metageneration).encode()), (b"x-goog-hash", sums.encode()),
            (b"x-goog-stored-content-length", str(one.content.size_bytes).encode()),
        ]  # fmt: skip
        return download(call, one.content, headers, one.etag)

    async def _patch(self, call: Call, names: list[str]) -> Answer:
        self.permit(call, "update")
        one = self.found(call, *names)
        check(call.query, one)
        values = await json_object(call)
        if values is None:
            raise refusals.refused(400, "parseError", "Parse Error")
        self._paced(*names)
        one.fields = changed(one.fields, values)
        self.sound(one.name, one.fields)
        one.metageneration += 1
        one.updated_at = self.now()
        return self.described(one, call)

    async def _delete(self, call: Call, names: list[str]) -> Answer:
        self.permit(call, "delete")
        one = self.found(call, *names)
        check(call.query, one)
        self._paced(*names)
        self.in_bucket(names[0]).delete(one, self.now(), for_good="generation" in call.query)
        return Answer(204)

    async def _compose(self, call: Call, names: list[str]) -> Answer:
        user = self.permit(call, "get", "create")
        value = await json_object(call) or {}
        pieces = components(self.in_bucket(names[0]), value)
        fields = {**pieces[0].fields, **(value.get("destination") or {})}
        fields.pop("name", None)
        whole = Content.of(b"".join(one.content.read() for one in pieces))
        count = sum(one.components or 1 for one in pieces)
        return self.make(call, user, names[0], names[1], fields, whole, count)

    async def _copy(self, call: Call, names: list[str]) -> Answer:
        return self.described(await self._copied(call, names), call)

    async def _copied(self, call: Call, names: list[str]) -> Object:
        user = self.permit(call, "get", "create")
        source = self.found(call, names[0], names[1], "sourceGeneration")
        check(call.query, source, source=True)
        value = await json_object(call) or {}
        fields = {**source.fields, **{key: one for key, one in value.items() if key in WRITABLE}}
        return self.made(call, user, names[2], names[3], fields, source.content, source.components)

    async def _rewrite(self, call: Call, names: list[str]) -> Answer:
        self.permit(call, "get", "create")
        source = self.found(call, names[0], names[1], "sourceGeneration")
        most = min(number(call.query, "maxBytesRewrittenPerCall") or 2**62, self.switches.bytes_rewritten_per_call)
        done, token = rewritten(self.rewrites, call.first("rewriteToken"), source.content.size_bytes, most)
        size = str(source.content.size_bytes)
        progress = {"kind": "storage#rewriteResponse", "totalBytesRewritten": str(done), "objectSize": size}
        if token is not None:
            return json_answer({**progress, "done": False, "rewriteToken": token})
        new = await self._copied(call, names)
        return json_answer({**progress, "done": True, "resource": described(new, self.url)})

    def put(self, bucket: str, name: str, content: bytes, fields: dict[str, Any], updated_at: datetime | None) -> str:
        """Put an object there, past the API; its generation."""
        now = updated_at or self.now()
        return str(self._put(self.world.bucket(bucket), name, Content.of(content), fields, now).generation)

    def stored(self, bucket: str, name: str) -> bytes | None:
        """The bytes of the live object."""
        one = self.world.bucket(bucket).live.get(name)
        return None if one is None else one.content.read()

    def facts(self, bucket: str, name: str) -> dict[str, Any] | None:
        """The live object as the API describes it."""
        one = self.world.bucket(bucket).live.get(name)
        return None if one is None else described(one, self.url)

    def generations(self, bucket: str, name: str) -> list[int]:
        """Every generation that is kept, oldest first."""
        home = self.world.bucket(bucket)
        live = [home.live[name]] if name in home.live else []
        return [one.generation for one in [*home.old.get(name, ()), *live]]

    def delete(self, bucket: str, name: str) -> None:
        """Delete the live object, past the API. Raises KeyError if there is none."""
        home = self.world.bucket(bucket)
        home.delete(home.live[name], self.now(), for_good=False)

    def plant(self, path: Path, content: bytes, modified_at: datetime) -> None:
        metadata = {"mtime": f"{modified_at.timestamp():.6f}"}
        self.put(BUCKET, "/".join(path), content, {"metadata": metadata}, None)

    def plant_folder(self, path: Path) -> None:
        self.put(BUCKET, "/".join(path) + "/", b"", {}, None)

    def remove(self, path: Path) -> None:
        self.delete(BUCKET, "/".join(path))

    def trash(self) -> list[Path]:
        return []

    def content(self, path: Path) -> bytes | None:
        return self.stored(BUCKET, "/".join(path))


def _known(call: Call, parameters: frozenset[str]) -> None:
    for name in call.query:
        if name not in parameters and name not in _GLOBAL:
            raise refusals.invalid(
                f'Invalid JSON payload received. Unknown name "{name}": Cannot bind query parameter.'
            )


def _masked(answer: Answer, call: Call) -> Answer:
    """The fields that were asked for of an answer."""
    text = call.first("fields")
    if text is None or answer.status != 200 or call.first("alt") == "media" or not isinstance(answer.body, bytes):
        return answer
    mask = parsed(text)
    if not answer.body:
        return answer

    return json_answer(picked(orjson.loads(answer.body), mask), 200)
