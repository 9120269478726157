from typing import Any

import httpx
import pytest

from tests.simulator.api_support import ANNA, BIN, BOB, OLD, PROJECT, ROOT, SCHEDULES, SERVICE, Api, api

__all__ = ["api"]
FOLDERS, FILES, VERSIONS = "/rest/v1.0/folders", "/rest/v1.0/files", "/rest/v1.0/file_versions"
HERE = {"project_id": PROJECT}


async def make_folder(api: Api, **values: Any) -> httpx.Response:
    return await api.call("POST", FOLDERS, params=HERE, json={"folder": values})


async def make_file(api: Api, name: str = "a.pdf", data: bytes = b"abc", **values: Any) -> httpx.Response:
    form = {f"file[{key}]": str(value) for key, value in {"name": name, **values}.items()}
    return await api.call("POST", FILES, params=HERE, data=form, files={"file[data]": ("sent.pdf", data)})


async def patch_file(api: Api, file_id: int, user: int = SERVICE, **values: Any) -> httpx.Response:
    return await api.call("PATCH", f"{FILES}/{file_id}", params=HERE, json={"file": values}, user=user)


async def test_folders_show_one_level_and_stubs(api: Api) -> None:
    top = api.folder("Top")
    inner = api.folder("Inner", top)
    api.folder("Deep", inner)
    api.file("in.pdf", inner)
    api.file("top.pdf", top, sizes=(1, 2, 3))
    root = await api.get(FOLDERS, params=HERE)
    assert (root["id"], root["parent_id"], root["name"]) == (ROOT, None, "Harbor / Tower")
    assert [folder["name"] for folder in root["folders"]] == ["Recycle Bin", "Schedules", "Top"]
    shown = await api.get(f"{FOLDERS}/{top}", params=HERE)
    stub = shown["folders"][0]
    assert (stub["name"], stub["folders"], stub["files"]) == ("Inner", [], [])
    assert (stub["has_children"], stub["has_children_files"], stub["has_children_folders"]) == (True, True, True)
    assert stub["name_with_path"] == "Harbor / Tower/Top/Inner"
    assert sorted(version["number"] for version in shown["files"][0]["file_versions"]) == [1, 2, 3]
    assert shown["files"][0]["size"] == 3
    latest = await api.get(f"{FOLDERS}/{top}", params={**HERE, "show_latest_file_version_only": "true"})
    assert [version["number"] for version in latest["files"][0]["file_versions"]] == [3]
    bare = await api.get(f"{FOLDERS}/{top}", params={**HERE, "exclude_files": "true", "exclude_folders": "true"})
    assert (bare["folders"], bare["files"], bare["has_children"]) == ([], [], True)
    assert (await api.call("GET", f"{FOLDERS}/12", params=HERE)).status_code == 404
    assert (await api.call("GET", f"{FOLDERS}/{top}", params={}, checked=False)).status_code == 400


async def test_version_order_is_random_by_switch(api: Api) -> None:
    file_id = api.file("v.pdf", sizes=tuple(range(1, 9)))
    orders = set()
    for _ in range(12):
        versions = (await api.get(f"{FILES}/{file_id}", params=HERE))["file_versions"]
        orders.add(tuple(version["number"] for version in versions))
    assert len(orders) > 1
    api.switch(random_version_order=False)
    versions = (await api.get(f"{FILES}/{file_id}", params=HERE))["file_versions"]
    assert [version["number"] for version in versions] == list(range(1, 9))
    version = await api.get(f"{VERSIONS}/{versions[2]['id']}", params=HERE)
    assert version == versions[2]
    latest = await api.get(f"{FILES}/{file_id}", params={**HERE, "show_latest_version_only": "true"})
    assert [version["number"] for version in latest["file_versions"]] == [8]


async def test_folders_are_made_and_names_cleaned(api: Api) -> None:
    made = await make_folder(api, name='A/B: "C" ', explicit_permissions=True, custom_field_7="x")
    folder = made.json()
    assert (made.status_code, folder["name"], folder["private"]) == (201, "A_B_ _C_", True)
    assert folder["custom_fields"] == {"custom_field_7": {"data_type": "string", "value": "x"}}
    assert folder["parent_id"] == ROOT
    inner = await make_folder(api, name="Inner", parent_id=folder["id"])
    assert inner.json()["name_with_path"] == "Harbor / Tower/A_B_ _C_/Inner"
    api.switch(clean_names=False)
    assert (await make_folder(api, name="A:B")).json()["name"] == "A:B"


@pytest.mark.parametrize(
    ("values", "errors"),
    [
        ({"name": " "}, {"name": ["can't be blank"]}), ({"name": "TAKEN"}, {"name": ["has already been taken"]}),
        ({"name": "x" * 256}, {"name": ["is too long (maximum is 255 characters)"]}),
        ({"name": "a\x00b"}, {"name": ["contains invalid characters"]}),
        ({"name": "x", "parent_id": 12}, {"parent_id": ["is invalid"]}),
    ],
)  # fmt: skip
async def test_folders_that_cannot_be_made(api: Api, values: dict[str, Any], errors: dict[str, Any]) -> None:
    api.folder("Taken")
    made = await make_folder(api, **values)
    assert (made.status_code, made.json()) == (400, {"errors": errors})


async def test_case_counts_by_switch(api: Api) -> None:
    api.folder("Taken")
    api.switch(case_insensitive_names=False)
    assert (await make_folder(api, name="TAKEN")).status_code == 201
    assert (await make_folder(api, name="Taken")).status_code == 400


async def test_system_folders_take_nothing_and_do_not_change(api: Api) -> None:
    for parent in (BIN, SCHEDULES):
        assert (await make_folder(api, name="x", parent_id=parent)).status_code == 403
    api.level(SERVICE, 4)
    for folder_id in (ROOT, BIN, SCHEDULES):
        changed = await api.call("PATCH", f"{FOLDERS}/{folder_id}", params=HERE, json={"folder": {"name": "x"}})
        assert changed.status_code == 403
        assert (await api.call("DELETE", f"{FOLDERS}/{folder_id}", params=HERE)).status_code == 403


async def test_folders_move_but_not_into_themselves(api: Api) -> None:
    top, other = api.folder("Top"), api.folder("Other")
    inner = api.folder("Inner", top)
    file_id = api.file("a.pdf", inner)
    into_itself = await api.call("PATCH", f"{FOLDERS}/{top}", params=HERE, json={"folder": {"parent_id": inner}})
    assert into_itself.status_code == 400
    moved = await api.call(
        "PATCH", f"{FOLDERS}/{inner}", params=HERE, json={"folder": {"parent_id": other, "name": "New"}}
    )
    assert moved.json()["name_with_path"] == "Harbor / Tower/Other/New"
    shown = await api.get(f"{FILES}/{file_id}", params=HERE)
    assert (shown["name_with_path"], shown["updated_at"]) == ("Harbor / Tower/Other/New/a.pdf", OLD)
    api.switch(move_bumps_descendants=True)
    await api.call("PATCH", f"{FOLDERS}/{inner}", params=HERE, json={"folder": {"parent_id": top}})
    assert (await api.get(f"{FILES}/{file_id}", params=HERE))["updated_at"] > OLD


async def test_deleting_needs_the_right_and_moves_to_the_bin(api: Api) -> None:
    top = api.folder("Top")
    file_id = api.file("a.pdf", top)
    assert (await api.call("DELETE", f"{FOLDERS}/{top}", params=HERE)).status_code == 403
    api.store.set_meta("granular_rights", {f"{SERVICE}:{PROJECT}": ["destroy_files_and_folders"]})
    deleted = await api.call("DELETE", f"{FOLDERS}/{top}", params=HERE)
    assert (deleted.status_code, deleted.content) == (200, b"")
    shown = await api.get(f"{FILES}/{file_id}", params=HERE)
    assert (shown["is_deleted"], shown["name_with_path"]) == (True, "Harbor / Tower/Recycle Bin/Top/a.pdf")
    assert (await patch_file(api, file_id, name="b.pdf")).status_code == 400
    assert (await api.call("DELETE", f"{FOLDERS}/{top}", params=HERE)).status_code == 404
    assert (await make_folder(api, name="Top")).status_code == 201
    restored = await api.call("PATCH", f"{FOLDERS}/{top}", params=HERE, json={"folder": {"parent_id": ROOT}})
    assert restored.status_code == 400  # the name is taken meanwhile
    restored = await api.call(
        "PATCH", f"{FOLDERS}/{top}", params=HERE, json={"folder": {"parent_id": ROOT, "name": "Back"}}
    )
    assert restored.json()["is_deleted"] is False
    assert (await api.get(f"{FILES}/{file_id}", params=HERE))["is_deleted"] is False


async def test_files_by_the_deprecated_multipart_form(api: Api) -> None:
    made = await make_file(api, "Plan?.pdf", b"abc", description="d", unique_name="False")
    file = made.json()
    assert (made.status_code, file["name"], file["size"], file["file_type"]) == (201, "Plan_.pdf", 3, "PDF")
    assert file["file_versions"][0]["prostore_file"]["filename"] == "sent.pdf"
    assert (await make_file(api, "plan_.PDF")).json() == {"errors": {"name": ["has already been taken"]}}
    assert (await make_file(api, "Plan_.pdf", unique_name="True")).json()["name"] == "Plan_ (1).pdf"
    assert (await make_file(api, "Plan_.pdf", unique_name="1")).json()["name"] == "Plan_ (2).pdf"
    missing = await api.call("POST", FILES, params=HERE, json={"file": {"name": "x"}})
    assert (missing.status_code, missing.json()) == (400, {"errors": {"upload_uuid": ["can't be blank"]}})
    assert (await api.call("POST", FILES, params=HERE, json={}, checked=False)).status_code == 400


async def test_form_bodies_change_files_too(api: Api) -> None:
    file_id = api.file("a.pdf")
    changed = await api.call(
        "PATCH", f"{FILES}/{file_id}", params=HERE, data={"file[name]": "b.pdf", "file[explicit_permissions]": "True"},
        checked=False,
    )  # fmt: skip
    assert (changed.status_code, changed.json()["name"]) == (200, "b.pdf")
    assert (await api.call("GET", f"{FILES}/{file_id}", params=HERE)).status_code == 404  # private now, and not theirs
    shown = await api.get(f"{FILES}/{file_id}", params=HERE, user=ANNA)
    assert (shown["name"], shown["private"]) == ("b.pdf", True)


async def test_new_versions_by_both_calls(api: Api) -> None:
    file_id = (await make_file(api)).json()["id"]
    api.store.execute("UPDATE documents SET updated_at = ?", OLD)
    created = await api.call(
        "POST", VERSIONS, params={**HERE, "file_id": file_id}, files={"file_version[data]": ("b.pdf", b"12345")},
        data={"file_version[notes]": "second"},
    )  # fmt: skip
    assert (created.status_code, created.json()["number"], created.json()["notes"]) == (201, 2, "second")
    shown = await api.get(f"{FILES}/{file_id}", params=HERE)
    assert (shown["size"], len(shown["file_versions"]), shown["updated_at"]) == (5, 2, OLD)
    api.switch(version_bumps_updated_at=True)
    patched = await api.call("PATCH", f"{FILES}/{file_id}", params=HERE, files={"file[data]": ("c.pdf", b"1234567")})
    assert (patched.json()["size"], patched.json()["updated_at"] > OLD) == (7, True)
    absent = await api.call("POST", VERSIONS, params={**HERE, "file_id": 12}, json={"file_version": {"notes": "x"}})
    assert absent.status_code == 404


async def test_checked_out_files_are_read_but_not_changed_by_others(api: Api) -> None:
    file_id = api.file("a.pdf")
    until = "2099-01-01T00:00:00Z"
    held = await patch_file(api, file_id, ANNA, checked_out_until=until)
    assert (held.json()["checked_out_until"], held.json()["checked_out_by"]["id"]) == (until, ANNA)
    assert (await patch_file(api, file_id, BOB, name="b.pdf")).status_code == 409
    assert (await patch_file(api, file_id, BOB, checked_out_until=None)).status_code == 409
    version = await api.call(
        "POST", VERSIONS, params={**HERE, "file_id": file_id}, files={"file_version[data]": ("b.pdf", b"1")}, user=BOB
    )
    assert version.status_code == 409
    assert (await api.get(f"{FILES}/{file_id}", params=HERE, user=BOB))["checked_out_by"]["id"] == ANNA
    assert (await patch_file(api, file_id, ANNA, description="mine")).status_code == 200
    api.level(BOB, 4)
    reset = await patch_file(api, file_id, BOB, checked_out_until=None)
    assert (reset.status_code, reset.json()["checked_out_until"]) == (200, None)
    assert "checked_out_by" not in reset.json()
    past = await patch_file(api, file_id, checked_out_until="2001-01-01T00:00:00Z")
    assert past.status_code == 400


async def test_null_references_by_switch(api: Api) -> None:
    file_id = api.file("a.pdf")
    api.switch(null_references=True)
    shown = await api.call("GET", f"{FILES}/{file_id}", params=HERE, checked=False)
    assert shown.json()["checked_out_by"] is None
    listed = await api.call(
        "GET", f"/rest/v1.0/projects/{PROJECT}/documents", params={"view": "extended"}, checked=False
    )
    entries = {entry["id"]: entry for entry in listed.json()}
    assert (entries[file_id]["private_parent"], entries[file_id]["children"]) == (None, None)
    assert entries[ROOT]["file"] is None


async def test_tags(api: Api) -> None:
    tags = f"/rest/v1.0/projects/{PROJECT}/document_custom_tags"
    file_id = api.file("a.pdf")
    api.file("b.pdf")
    body = {"document_id": file_id, "document_custom_tag": {"name": "Concrete"}}
    tag = (await api.call("POST", tags, json=body)).json()
    assert tag["name"] == "Concrete"
    assert await api.get(tags) == [tag]
    assert await api.get(tags, params={"filters[document_id]": file_id}) == [tag]
    assert await api.names(**{"filters[custom_tag_ids][]": str(tag["id"])}) == ["a.pdf"]
    gone = await api.call("DELETE", f"{tags}/{tag['id']}", params={"document_id": file_id})
    assert (gone.status_code, gone.json()) == (200, tag)
    assert await api.get(tags) == []
    assert (await api.call("DELETE", f"{tags}/{tag['id']}", params={"document_id": file_id})).status_code == 400


@pytest.mark.parametrize("content", [b"{", b"[1]", b'{"folder": "x"}', b'{"folder": {"name": 7}}', b""])
async def test_bodies_that_make_no_sense_are_refused(api: Api, content: bytes) -> None:
    headers = {"content-type": "application/json"}
    made = await api.call("POST", FOLDERS, params=HERE, content=content, headers=headers, checked=False)
    assert made.status_code == 400
    both = await api.call("POST", FOLDERS, params=HERE, data={"folder": "x", "folder[name]": "y"}, checked=False)
    assert both.status_code in (201, 400)
