"""Dropbox's own client, unchanged, and plain HTTP against the stand-in; the client's types are strict."""

import base64
import hashlib
import json
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import dropbox as vendor
import httpx
import pytest
import requests
from dropbox import common
from dropbox import files as types
from dropbox.exceptions import ApiError, AuthError, BadInputError, HttpError, PathRootError, RateLimitError
from requests.adapters import HTTPAdapter
from stone.backends.python_rsrc import stone_validators

from simulator.clouds import dropbox
from simulator.clouds.dropbox import DropboxCloud, arguments
from simulator.clouds.dropbox.service import ROUTES
from simulator.clouds.dropbox.world import BLOCK_BYTES

AT = datetime(2019, 5, 6, 7, 8, 9, tzinfo=UTC)
NAIVE = AT.replace(tzinfo=None)


class Loopback(HTTPAdapter):
    """Sends what is for the vendor's hosts to the stand-in's addresses."""

    def __init__(self, urls: dict[str, str]) -> None:
        super().__init__()
        self._urls = urls

    def send(self, request: Any, *asked: Any, **values: Any) -> Any:
        parts = urlsplit(request.url)
        here = urlsplit(self._urls[parts.netloc.partition(".")[0]])
        request.url = urlunsplit((here.scheme, here.netloc, here.path + parts.path, parts.query, ""))
        return super().send(request, *asked, **values)


def client_of(cloud: DropboxCloud, **values: Any) -> vendor.Dropbox:
    session = requests.Session()
    session.mount("https://", Loopback(cloud.urls))
    given = cloud.credentials
    chosen = {"oauth2_refresh_token": given["refresh_token"], "app_secret": given["app_secret"]} | values
    return vendor.Dropbox(
        app_key=given["app_key"], session=session, max_retries_on_error=0, max_retries_on_rate_limit=0, **chosen
    )


@pytest.fixture
def cloud() -> Iterator[DropboxCloud]:
    with dropbox.running() as running:
        yield running


@pytest.fixture
def api(cloud: DropboxCloud) -> vendor.Dropbox:
    return client_of(cloud)


@pytest.fixture
def http(cloud: DropboxCloud) -> Iterator[httpx.Client]:
    given = cloud.credentials
    form = {"grant_type": "refresh_token", "refresh_token": given["refresh_token"], "client_id": given["app_key"],
            "client_secret": given["app_secret"]}  # fmt: skip
    token = httpx.post(f"{cloud.urls['api']}/oauth2/token", data=form).json()["access_token"]
    with httpx.Client(headers={"authorization": f"Bearer {token}"}) as client:
        yield client


def tags(call: Callable[[], Any]) -> str:
    """The tags of the error that a call raises."""
    with pytest.raises(ApiError) as error:
        call()
    found, value = [], error.value.error
    while hasattr(value, "_tag"):
        found.append(value._tag)
        value = value._value
        value = value.reason if isinstance(value, types.UploadWriteFailed) else value
    return "/".join(found)


def hash_of(content: bytes) -> str:
    blocks = [content[at : at + BLOCK_BYTES] for at in range(0, len(content), BLOCK_BYTES)]
    return hashlib.sha256(b"".join(hashlib.sha256(block).digest() for block in blocks)).hexdigest()


def listed(api: vendor.Dropbox, path: str = "", **values: Any) -> list[Any]:
    page = api.files_list_folder(path, **values)
    entries = list(page.entries)
    while page.has_more:
        page = api.files_list_folder_continue(page.cursor)
        entries += page.entries
    return entries


def test_the_known_arguments_are_those_of_the_description() -> None:
    routes = {f"files/{name.lstrip('/')}": one for name, one in types.ROUTES.items()}
    for name, known in arguments.ARGUMENTS.items():
        plain, _, version = name.rpartition("_v")
        key = f"{plain}:{version}" if version.isdecimal() and plain else name
        route = routes.get(name) or routes.get(key)
        if route is None:
            assert not name.startswith("files/"), name
            continue
        fields = dict(route.arg_type.definition._all_fields_)
        assert {one.rstrip("!") for one in known} == set(fields)
        assert ROUTES[name].host == route.attrs["host"]
        assert ROUTES[name].style == route.attrs["style"]


def test_dropboxs_client_makes_finds_changes_and_removes(api: vendor.Dropbox, cloud: DropboxCloud) -> None:
    person = api.users_get_current_account()
    assert person.root_info.home_path == "/Amelie Stein"
    assert api.check_user("echo").result == "echo"
    folder = api.files_create_folder_v2("/Plans/2019 – Süd").metadata
    assert folder.path_lower == "/plans/2019 – süd"
    made = api.files_upload(b"hello", "/Plans/A ü€😀.pdf", client_modified=NAIVE)
    assert (made.size, made.client_modified, made.content_hash) == (5, NAIVE, hash_of(b"hello"))
    assert made.server_modified > NAIVE + timedelta(days=365)
    found = api.files_get_metadata("/PLANS/a ü€😀.PDF")
    assert (found.id, found.rev, found.path_display) == (made.id, made.rev, "/Plans/A ü€😀.pdf")
    for path in (made.id, f"rev:{made.rev}", made.path_lower):
        facts, answer = api.files_download(path)
        assert (answer.content, facts.name) == (b"hello", "A ü€😀.pdf")
    update = types.WriteMode.update(made.rev)
    second = api.files_upload(b"second", made.path_display, mode=update, client_modified=NAIVE)
    assert (second.id, second.rev > made.rev) == (made.id, True)
    assert tags(lambda: api.files_upload(b"third", made.path_display, mode=update)) == "path/conflict/file"
    revisions = api.files_list_revisions(made.path_display)
    assert [one.rev for one in revisions.entries] == [second.rev, made.rev]
    assert api.files_download(f"rev:{made.rev}")[1].content == b"hello"
    moved = api.files_move_v2(made.path_display, "/Elsewhere/b.pdf").metadata
    assert (moved.id, moved.client_modified, moved.rev != second.rev) == (made.id, NAIVE, True)
    copied = api.files_copy_v2("/Elsewhere", "/Again").metadata
    assert cloud.content(("Again", "b.pdf")) == b"second"
    assert copied.id != folder.id
    assert tags(lambda: api.files_delete_v2("/Again/b.pdf", parent_rev=made.rev)) == "path_write/conflict/file"
    gone = api.files_delete_v2("/Again").metadata
    assert isinstance(gone, types.FolderMetadata)
    assert isinstance(api.files_get_metadata("/again/B.pdf", include_deleted=True), types.DeletedMetadata)
    assert cloud.trash() == [("Again", "b.pdf")]
    assert cloud.everything() == {("Elsewhere", "b.pdf")}
    back = api.files_restore("/Again/b.pdf", api.files_list_revisions("/Again/b.pdf").entries[0].rev)
    assert (back.size, back.client_modified) == (6, NAIVE)
    assert api.users_get_space_usage().used == 12


def test_conflicts_are_told_apart(api: vendor.Dropbox, cloud: DropboxCloud) -> None:
    cloud.plant(("a.txt",), b"1", AT)
    api.files_create_folder_v2("/d")
    assert tags(lambda: api.files_upload(b"2", "/A.TXT")) == "path/conflict/file"
    assert tags(lambda: api.files_upload(b"2", "/D")) == "path/conflict/folder"
    assert tags(lambda: api.files_upload(b"2", "/a.txt/b")) == "path/conflict/file_ancestor"
    assert tags(lambda: api.files_create_folder_v2("/D")) == "path/conflict/folder"
    assert tags(lambda: api.files_create_folder_v2("/a.txt")) == "path/conflict/file"
    same = api.files_upload(b"1", "/a.txt", client_modified=NAIVE.replace(year=2001))
    assert same.client_modified == NAIVE, "the same content changes nothing, the time neither"
    strict = {"strict_conflict": True}
    assert tags(lambda: api.files_upload(b"1", "/a.txt", **strict)) == "path/conflict/file"
    assert api.files_upload(b"2", "/a.txt", autorename=True).name == "a (1).txt"
    update = types.WriteMode.update("123456789")
    assert api.files_upload(b"3", "/a.txt", mode=update, autorename=True).name == "a (Amelie's conflicted copy).txt"
    assert api.files_upload(b"3", "/new.txt", mode=update).size == 1
    assert tags(lambda: api.files_upload(b"3", "/newer.txt", mode=update, **strict)) == "path/conflict/file"
    with pytest.raises(ApiError) as refused:
        api.files_upload(b"other", "/a.txt")
    session = refused.value.error.get_path().upload_session_id
    cursor, later = types.UploadSessionCursor(session, 5), types.CommitInfo("/later.txt")
    assert api.files_upload_session_finish(b"", cursor, later).size == 5
    assert tags(lambda: api.files_move_v2("/d", "/D")) == "duplicated_or_nested_paths"
    assert tags(lambda: api.files_move_v2("/d", "/d/e")) == "cant_move_folder_into_itself"
    assert tags(lambda: api.files_move_v2("/a.txt", "/new.txt")) == "to/conflict/file"
    assert tags(lambda: api.files_move_v2("/none", "/x")) == "from_lookup/not_found"
    assert tags(lambda: api.files_delete_v2("/none")) == "path_lookup/not_found"
    assert tags(lambda: api.files_download("/d")) == "path/not_file"
    assert tags(lambda: api.files_list_folder("/a.txt")) == "path/not_folder"
    assert tags(lambda: api.files_upload(b"x", "/y", content_hash="0" * 64)) == "content_hash_mismatch"


@pytest.mark.parametrize("path", ["/a//b", "/a/", "/./a", "/a/..", "/a\\b", "/a ", "/" + "n" * 256, "/del\x7f"])
def test_paths_that_cannot_be(api: vendor.Dropbox, path: str) -> None:
    assert tags(lambda: api.files_create_folder_v2(path)) == "path/malformed_path"


@pytest.mark.parametrize("name", ["desktop.ini", "Thumbs.db", ".DS_Store", "icon\r", ".dropbox", "~$plan.doc"])
def test_names_that_are_not_stored(api: vendor.Dropbox, name: str) -> None:
    assert tags(lambda: api.files_upload(b"x", f"/{name}")) == "path/disallowed_name"


def test_listings_end_and_cursors_tell_what_changed(api: vendor.Dropbox, cloud: DropboxCloud) -> None:
    for number in range(9):
        cloud.plant(("F", f"sub{number % 2}", f"{number}.txt"), b"x", AT)
    entries = listed(api, "/F", recursive=True, limit=4)
    assert {entry.path_display for entry in entries} == {
        "/F", "/F/sub0", "/F/sub1", *(f"/F/sub{number % 2}/{number}.txt" for number in range(9)),
    }  # fmt: skip
    assert len(entries) == 12
    assert {entry.name for entry in listed(api, "/f")} == {"sub0", "sub1"}
    cursor = api.files_list_folder_get_latest_cursor("/F", recursive=True).cursor
    api.files_upload(b"2", "/F/sub0/0.txt", mode=types.WriteMode.overwrite)
    api.files_delete_v2("/F/sub1")
    api.files_move_v2("/F/sub0/2.txt", "/F/renamed.txt")
    api.files_upload(b"", "/outside.txt")
    page = api.files_list_folder_continue(cursor)
    changed = {(type(entry).__name__, entry.path_display) for entry in page.entries}
    assert changed == {
        ("FileMetadata", "/F/sub0/0.txt"), ("DeletedMetadata", "/F/sub1"), ("DeletedMetadata", "/F/sub0/2.txt"),
        ("FileMetadata", "/F/renamed.txt"),
    }  # fmt: skip
    assert not page.has_more
    assert api.files_list_folder_continue(page.cursor).entries == []
    cloud.reset_cursors()
    assert tags(lambda: api.files_list_folder_continue(page.cursor)) == "reset"
    gone = [entry for entry in listed(api, "/F", recursive=True, include_deleted=True)
            if isinstance(entry, types.DeletedMetadata)]  # fmt: skip
    assert "/F/sub1/1.txt" in {entry.path_display for entry in gone}
    first = api.files_list_folder("/F", limit=1)
    api.files_delete_v2("/F")
    assert tags(lambda: api.files_list_folder_continue(first.cursor)) == "path/not_found"


def test_a_poll_ends_when_something_changes(api: vendor.Dropbox, cloud: DropboxCloud) -> None:
    cursor = api.files_list_folder("").cursor
    answers: list[bool] = []
    asking = threading.Thread(target=lambda: answers.append(api.files_list_folder_longpoll(cursor).changes))
    asking.start()
    cloud.plant(("new.txt",), b"", AT)
    asking.join(20)
    assert answers == [True]


def test_pieces_become_a_file(api: vendor.Dropbox, cloud: DropboxCloud) -> None:
    session = api.files_upload_session_start(b"ab").session_id
    assert cloud.unfinished() == 1
    cursor = types.UploadSessionCursor(session, 2)
    api.files_upload_session_append_v2(b"cd", cursor)
    with pytest.raises(ApiError) as refused:
        api.files_upload_session_append_v2(b"cd", cursor)
    assert refused.value.error.get_incorrect_offset().correct_offset == 4
    commit = types.CommitInfo("/pieces.bin", client_modified=NAIVE)
    wrong = types.UploadSessionCursor(session, 3)
    assert tags(lambda: api.files_upload_session_finish(b"", wrong, commit)).startswith(
        "lookup_failed/incorrect_offset"
    )
    cursor = types.UploadSessionCursor(session, 4)
    made = api.files_upload_session_finish(b"ef", cursor, commit)
    assert (made.size, made.content_hash, made.client_modified) == (6, hash_of(b"abcdef"), NAIVE)
    assert cloud.unfinished() == 0
    assert tags(lambda: api.files_upload_session_finish(b"", cursor, commit)) == "lookup_failed/not_found"
    closed = api.files_upload_session_start(b"x", close=True).session_id
    at = types.UploadSessionCursor(closed, 1)
    assert tags(lambda: api.files_upload_session_append_v2(b"y", at)) == "closed"
    open_ = types.UploadSessionCursor(api.files_upload_session_start(b"x").session_id, 1)
    results = api.files_upload_session_finish_batch_v2([
        types.UploadSessionFinishArg(at, types.CommitInfo("/b1")),
        types.UploadSessionFinishArg(open_, types.CommitInfo("/b2")),
    ]).entries  # fmt: skip
    assert (results[0].get_success().path_display, results[1].is_failure()) == ("/b1", True)
    assert results[1].get_failure().get_lookup_failed().is_not_closed()
    cloud.advance(7 * 86_400)
    fresh = client_of(cloud)
    assert tags(lambda: fresh.files_upload_session_append_v2(b"y", open_)) == "not_found"


def test_pieces_may_come_side_by_side(api: vendor.Dropbox, cloud: DropboxCloud) -> None:
    kind = types.UploadSessionType.concurrent
    assert tags(lambda: api.files_upload_session_start(b"x", session_type=kind)) == (
        "concurrent_session_data_not_allowed"
    )
    session = api.files_upload_session_start(b"", session_type=kind).session_id
    pieces = [b"a" * BLOCK_BYTES, b"b" * BLOCK_BYTES, b"tail"]

    def put(number: int, content: bytes, offset: int | None = None, close: bool = False) -> None:
        at = number * BLOCK_BYTES if offset is None else offset
        api.files_upload_session_append_v2(content, types.UploadSessionCursor(session, at), close=close)

    assert tags(lambda: put(0, b"x", offset=1)) == "concurrent_session_invalid_offset"
    assert tags(lambda: put(0, b"x")) == "concurrent_session_invalid_data_size"
    put(1, pieces[1])
    end = types.UploadSessionCursor(session, 2 * BLOCK_BYTES + 4)
    commit = types.CommitInfo("/side.bin")
    assert tags(lambda: api.files_upload_session_finish(b"", end, commit)) == "concurrent_session_not_closed"
    put(0, pieces[0])
    put(2, pieces[2], close=True)
    assert tags(lambda: put(0, pieces[0])) == "closed"
    made = api.files_upload_session_finish(b"", end, commit)
    assert made.content_hash == hash_of(b"".join(pieces))
    assert cloud.content(("side.bin",)) == b"".join(pieces)
    session = api.files_upload_session_start(b"", session_type=kind).session_id
    put(1, pieces[1], close=True)
    missing = types.UploadSessionCursor(session, 2 * BLOCK_BYTES)
    assert tags(lambda: api.files_upload_session_finish(b"", missing, commit)) == "concurrent_session_missing_data"


def test_folders_in_one_call_or_as_a_job(api: vendor.Dropbox, cloud: DropboxCloud) -> None:
    cloud.plant(("file",), b"", AT)
    done = api.files_create_folder_batch(["/x", "/file", "/x"]).get_complete().entries
    assert [one._tag for one in done] == ["success", "failure"]
    job = api.files_create_folder_batch([f"/many/{number}" for number in range(11)]).get_async_job_id()
    assert api.files_create_folder_batch_check(job).is_in_progress()
    assert len(api.files_create_folder_batch_check(job).get_complete().entries) == 11


def test_a_teams_space_is_reached_by_its_root(api: vendor.Dropbox, cloud: DropboxCloud) -> None:
    api.files_upload(b"1", "/mine.txt")
    root = cloud.credentials["root_namespace_id"]
    team = api.with_path_root(common.PathRoot.root(root))
    assert {entry.name for entry in listed(team)} == {"Amelie Stein", "Projects"}
    assert team.files_get_metadata("/Amelie Stein/mine.txt").id == api.files_get_metadata("/mine.txt").id
    shared = team.files_upload(b"2", "/Projects/ours.txt")
    assert shared.sharing_info.parent_shared_folder_id == "5000"
    inside = api.with_path_root(common.PathRoot.namespace_id("5000"))
    assert inside.files_get_metadata("/ours.txt").path_display == "/ours.txt"
    assert api.files_get_metadata("ns:5000/ours.txt").id == shared.id
    assert tags(lambda: team.files_delete_v2("/Projects")) == "path_lookup/malformed_path"
    with pytest.raises(PathRootError) as refused:
        api.with_path_root(common.PathRoot.root("1")).files_list_folder("")
    assert refused.value.error.get_invalid_root().root_namespace_id == root
    with pytest.raises(PathRootError):
        api.with_path_root(common.PathRoot.namespace_id("77")).files_list_folder("")


def test_what_is_dropboxs_own_can_only_be_exported(api: vendor.Dropbox, cloud: DropboxCloud) -> None:
    cloud.plant_exportable(("Notes.paper",), "md", b"# words")
    facts = api.files_get_metadata("/Notes.paper")
    assert (facts.is_downloadable, facts.content_hash, facts.export_info.export_as) == (False, None, "md")
    assert tags(lambda: api.files_download("/Notes.paper")) == "unsupported_file"
    assert api.files_export("/Notes.paper")[1].content == b"# words"
    assert listed(api, include_non_downloadable_files=False) == []


def test_refusals_come_as_dropbox_says_them(api: vendor.Dropbox, cloud: DropboxCloud) -> None:
    api.files_upload(b"12345", "/a")
    cloud.settings(quota_bytes=8)
    assert tags(lambda: api.files_upload(b"1234", "/sub/b")) == "path/insufficient_space"
    assert {entry.name for entry in listed(api)} == {"a"}, "nothing is left of what was refused"
    assert tags(lambda: api.files_copy_v2("/a", "/c")) == "insufficient_quota"
    cloud.settings(quota_bytes=None, read_only=True)
    assert tags(lambda: api.files_upload(b"1", "/b")) == "path/no_write_permission"
    assert tags(lambda: api.files_delete_v2("/a")) == "path_write/no_write_permission"
    cloud.settings(read_only=False, calls_per_minute=1)
    with pytest.raises(RateLimitError) as busy:
        for _ in range(2):
            api.files_get_metadata("/a")
    assert busy.value.error.reason.is_too_many_requests()
    assert 1 <= busy.value.backoff <= 60
    cloud.settings(calls_per_minute=None)
    for fault, error in (("500", HttpError), ("503", HttpError), ("429", RateLimitError), ("401", AuthError)):
        cloud.faults([{"fault": fault, "route": "files/"}])
        with pytest.raises(error):
            api.files_get_metadata("/a")
    cloud.faults([{"fault": "404", "route": "files/"}])
    assert tags(lambda: api.files_get_metadata("/a")) == "path/not_found"
    cloud.faults([{"fault": "quota", "route": "files/"}])
    assert tags(lambda: api.files_upload(b"", "/x")) == "path/insufficient_space"
    cloud.faults([])
    cloud.expire_tokens()
    assert api.files_get_metadata("/a").size == 5, "the client gets itself a new token"
    with pytest.raises(AuthError) as scope:
        api.files_permanently_delete("/a")
    assert scope.value.error.get_missing_scope().required_scope == "files.permanent_delete"


def test_more_writes_at_once_than_allowed_are_refused(api: vendor.Dropbox, cloud: DropboxCloud) -> None:
    cloud.settings(writes_at_once_max=1)
    assert api.files_upload(b"x", "/one").size == 1
    cloud.settings(writes_at_once_max=0)
    with pytest.raises(RateLimitError) as busy:
        api.files_upload(b"x", "/two")
    assert busy.value.error.reason.is_too_many_write_operations()
    cloud.settings(write_refused_as_conflict=True)
    assert tags(lambda: api.files_upload(b"x", "/two")) == "path/too_many_write_operations"
    assert cloud.everything() == {("one",)}


def test_calls_that_are_not_described_are_refused_in_plain_text(cloud: DropboxCloud, http: httpx.Client) -> None:
    rpc, content = f"{cloud.urls['api']}/2/files", f"{cloud.urls['content']}/2/files"

    def bad(answer: httpx.Response) -> str:
        assert (answer.status_code, answer.headers["content-type"]) == (400, "text/plain; charset=utf-8")
        return answer.text

    assert "empty string rather than" in bad(http.post(f"{rpc}/list_folder", json={"path": "/"}))
    assert "unknown field" in bad(http.post(f"{rpc}/list_folder", json={"path": "", "recursiv": True}))
    assert "missing required" in bad(http.post(f"{rpc}/list_folder", json={}))
    assert "limit" in bad(http.post(f"{rpc}/list_folder", json={"path": "", "limit": 2001}))
    assert "path" in bad(http.post(f"{rpc}/get_metadata", json={"path": "no slash"}))
    assert "Content-Type" in bad(http.post(f"{rpc}/get_metadata", content=b"{}"))
    assert "JSON" in bad(http.post(f"{rpc}/get_metadata", content=b"{", headers={"content-type": "application/json"}))
    assert "Unknown" in bad(http.post(f"{content}/get_metadata", json={"path": "/a"}))
    assert "method" in bad(http.get(f"{rpc}/get_metadata"))
    assert "authorization" in bad(httpx.post(f"{rpc}/get_metadata", json={"path": "/a"}))
    assert "malformed" in bad(httpx.post(f"{rpc}/get_metadata", json={}, headers={"authorization": "Bearer x"}))
    octets = {"content-type": "application/octet-stream"}
    assert "Dropbox-API-Arg" in bad(http.post(f"{content}/upload", content=b"x", headers=octets))
    plain = '{"path":"/ü"}'.encode()
    headers = [(b"dropbox-api-arg", plain), (b"content-type", b"application/octet-stream")]
    assert "JSON" in bad(http.post(f"{content}/upload", content=b"x", headers=headers))
    late = json.dumps({"path": "/a", "client_modified": "2019-05-06T07:08:09.123Z"})
    assert "client_modified" in bad(
        http.post(f"{content}/upload", content=b"", headers={**octets, "dropbox-api-arg": late})
    )
    made = http.post(
        f"{content}/upload", content=b"12345", headers={**octets, "dropbox-api-arg": '{"path":"/\\u00fc"}'}
    )
    assert made.json()["path_display"] == "/ü"
    asked = {"dropbox-api-arg": '{"path":"/\\u00fc"}', "range": "bytes=1-2"}
    part = http.post(f"{content}/download", headers=asked)
    assert (part.status_code, part.content, part.headers["content-range"]) == (206, b"23", "bytes 1-2/5")
    assert part.headers["dropbox-api-result"].isascii()
    refused = http.post(f"{rpc}/get_metadata", json={"path": "/none"})
    assert (refused.status_code, refused.headers["content-type"]) == (409, "application/json")
    assert refused.json()["error_summary"] == "path/not_found/..."


def test_a_person_agrees_once(cloud: DropboxCloud) -> None:
    verifier = "v" * 50
    challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).decode().rstrip("=")
    query = {"client_id": cloud.credentials["app_key"], "response_type": "code", "token_access_type": "offline",
             "code_challenge": challenge, "code_challenge_method": "S256"}  # fmt: skip
    token = f"{cloud.urls['api']}/oauth2/token"

    def exchange(code: str, verifier: str) -> httpx.Response:
        form = {"grant_type": "authorization_code", "code": code, "code_verifier": verifier,
                "client_id": cloud.credentials["app_key"]}  # fmt: skip
        return httpx.post(token, data=form)

    codes = [httpx.get(f"{cloud.urls['www']}/oauth2/authorize", params=query).text for _ in range(2)]
    wrong = exchange(codes[0], "w" * 50)
    assert (wrong.status_code, wrong.json()["error"]) == (400, "invalid_grant")
    given = exchange(codes[1], verifier).json()
    assert given["expires_in"] == 14_400
    assert exchange(codes[1], verifier).json()["error"] == "invalid_grant"
    public = client_of(cloud, oauth2_refresh_token=given["refresh_token"], app_secret=None)
    assert public.check_user("x").result == "x"
    private = client_of(cloud, app_secret=None)
    with pytest.raises(BadInputError):
        private.check_user("x")
    cloud.advance(14_400)
    assert public.check_user("y").result == "y"
    scoped = client_of(cloud, scope=["account_info.read"])
    with pytest.raises(AuthError):
        scoped.files_list_folder("")


def test_the_clients_types_are_strict() -> None:
    with pytest.raises(stone_validators.ValidationError):
        types.FileMetadata(rev="123")


def test_the_normal_forms_of_a_name_are_one_name(api: vendor.Dropbox) -> None:
    """As it was met at Dropbox: https://github.com/samschott/maestral/pull/679"""
    composed, decomposed = "/Pl\u00e4n.pdf", "/Pla\u0308n.pdf"
    made = api.files_upload(b"content", composed)
    assert api.files_get_metadata(decomposed).id == made.id
    with pytest.raises(ApiError):
        api.files_move_v2(composed, decomposed)
