import pytest

from tests.simulator.api_support import (
    ANNA,
    BIN,
    BOB,
    COMPANY,
    DOCUMENTS,
    PROJECT,
    ROOT,
    SCHEDULES,
    SERVICE,
    Api,
    api,
)  # fmt: skip

__all__ = ["api"]
V2 = f"/rest/v2.0/projects/{PROJECT}/documents"
V2_COMPANY = f"/rest/v2.0/companies/{COMPANY}/projects/{PROJECT}"


async def test_root_bin_and_deleted_entries_are_listed_unless_filtered(api: Api) -> None:
    trash = api.folder("Old", BIN, deleted=1)
    api.file("old.pdf", trash, deleted=1)
    api.file("new.pdf")
    everything = await api.index()
    assert {entry["name"] for entry in everything} == {
        "Harbor / Tower", "Recycle Bin", "Schedules", "Old", "old.pdf", "new.pdf",
    }  # fmt: skip
    by_name = {entry["name"]: entry for entry in everything}
    assert by_name["Harbor / Tower"]["parent_id"] is None
    assert by_name["Recycle Bin"]["is_recycle_bin"] is True
    assert by_name["Schedules"]["read_only"] is True
    assert by_name["old.pdf"]["is_deleted"] is True
    assert by_name["old.pdf"]["name_with_path"] == "Harbor / Tower/Recycle Bin/Old/old.pdf"
    deleted = {"filters[is_in_recycle_bin]": "true"}
    assert await api.names(**deleted) == ["old.pdf", "Old"]
    live = await api.names(**{"filters[is_in_recycle_bin]": "False", "filters[document_type]": "folder"})
    assert live == ["Harbor / Tower", "Recycle Bin", "Schedules"]


async def test_extended_files_and_folders(api: Api) -> None:
    drawings = api.folder("Drawings", tracked=1)
    file_id = api.file(
        'Plan "A" – É.PDF', drawings, sizes=(10, 5_000_000_000), description="x", checked_out_by=BOB,
        checked_out_until="2099-01-01T00:00:00Z",
    )  # fmt: skip
    entries = {entry["id"]: entry for entry in await api.index()}
    current = entries[file_id]["file"]["current_version"]
    assert (current["number"], current["size"], current["file_id"]) == (2, 5_000_000_000, file_id)
    assert current["url"] == current["prostore_file"]["url"]
    assert current["url"].startswith("http://storage.test/")
    assert entries[file_id]["file"]["file_type"] == "PDF"
    assert entries[file_id]["file"]["checked_out_by"]["id"] == BOB
    assert entries[file_id]["created_by"]["company_name"] == "Acme"
    assert entries[file_id]["tracked_folder"]["name_with_path"] == "Harbor / Tower/Drawings"
    assert entries[file_id]["name_with_path"] == 'Harbor / Tower/Drawings/Plan "A" – É.PDF'
    assert entries[drawings]["children"] == {
        "has_children": True, "has_children_files": True, "has_children_folders": False,
    }  # fmt: skip
    api.clock.advance(80 * 365 * 86400)
    api.sign_in(SERVICE, "service-client", service_account=True)
    expired = {entry["id"]: entry for entry in await api.index()}[file_id]["file"]
    assert (expired.get("checked_out_by"), expired["checked_out_until"]) == (None, None)


async def test_the_normal_view_has_no_links(api: Api) -> None:
    api.file("a.pdf")
    entry = (await api.get(DOCUMENTS, params={"filters[document_type]": "file"}))[0]
    assert set(entry) == {
        "id", "name", "name_with_path", "parent_id", "created_at", "created_by", "updated_at", "read_only",
        "is_deleted", "is_recycle_bin", "document_type", "private", "custom_fields",
    }  # fmt: skip


async def test_private_entries_and_all_below_them_do_not_exist_for_others(api: Api) -> None:
    secret = api.folder("Secret", private=1)
    below = api.folder("Below", secret)
    hidden_file = api.file("deep.pdf", below)
    api.file("alone.pdf", private=1)
    assert not {"Secret", "Below", "deep.pdf", "alone.pdf"} & set(await api.names())
    folder = f"/rest/v1.0/folders/{below}"
    assert (await api.call("GET", folder, params={"project_id": PROJECT})).status_code == 404
    file = f"/rest/v1.0/files/{hidden_file}"
    assert (await api.call("GET", file, params={"project_id": PROJECT})).status_code == 404
    assert {"Secret", "Below", "deep.pdf", "alone.pdf"} <= set(await api.names(user=ANNA))  # made by her
    api.level(SERVICE, 3, private_access=True)
    entries = {entry["name"]: entry for entry in await api.index()}
    assert entries["deep.pdf"]["private_parent"]["name"] == "Secret"
    api.level(SERVICE, 4)
    assert "alone.pdf" in await api.names(**{"filters[private]": "true"})


async def test_pages_and_their_headers(api: Api) -> None:
    for number in range(7):
        api.file(f"{number}.pdf")
    params = {"per_page": 3, "page": 2, "sort": "name", "filters[document_type]": "file"}
    response = await api.call("GET", DOCUMENTS, params=params)
    assert [entry["name"] for entry in response.json()] == ["3.pdf", "4.pdf", "5.pdf"]
    assert (response.headers["total"], response.headers["per-page"]) == ("7", "3")
    links = response.headers["link"].split(", ")
    assert [link.rpartition("; ")[2] for link in links] == ['rel="first"', 'rel="prev"', 'rel="next"', 'rel="last"']
    following = links[2].partition(">")[0][1:]
    assert [entry["name"] for entry in (await api.call("GET", following)).json()] == ["6.pdf"]
    assert await api.get(DOCUMENTS, params={**params, "page": 99}) == []
    assert (await api.call("GET", DOCUMENTS, params={"page": 0}, checked=False)).status_code == 400
    assert (await api.call("GET", DOCUMENTS)).headers["per-page"] == "100"
    api.switch(per_page_max=2)
    assert (await api.call("GET", DOCUMENTS, params={"per_page": 10_000})).headers["per-page"] == "2"


async def test_a_page_shows_what_was_written_since_the_one_before(api: Api) -> None:
    api.file("b.pdf")
    only_files = {"filters[document_type]": "file"}
    assert await api.names(**only_files) == ["b.pdf"]
    api.file("a.pdf")
    assert await api.names(**only_files) == ["a.pdf", "b.pdf"]


@pytest.mark.parametrize(
    ("sort", "names"),
    [
        ("name", ["A.pdf", "b.pdf", "C"]), ("-name", ["C", "b.pdf", "A.pdf"]),
        ("document_type", ["b.pdf", "A.pdf", "C"]), ("updated_at", ["A.pdf", "C", "b.pdf"]),
        ("-updated_at", ["b.pdf", "C", "A.pdf"]), ("document_type_then_created_at", ["A.pdf", "b.pdf", "C"]),
        ("-document_type_then_name", ["C", "b.pdf", "A.pdf"]),
    ],
)  # fmt: skip
async def test_sorts(api: Api, sort: str, names: list[str]) -> None:
    top = api.folder("Top", private=0, updated_at="2019-01-01T00:00:00Z")
    api.file("b.pdf", top, created_at="2024-02-02T00:00:00Z", updated_at="2024-09-01T00:00:00Z")
    api.file("A.pdf", top, created_at="2024-01-01T00:00:00Z", updated_at="2024-02-01T00:00:00Z")
    api.folder("C", top, updated_at="2024-05-01T00:00:00Z")
    listed = await api.names(sort=sort, **{"filters[folder_id]": str(top)})
    assert [name for name in listed if name != "Top"] == names


FILTERS = [
    ({"filters[folder_id]": "TOP"}, ["In", "Top", "b.dwg", "a.pdf"]),
    ({"filters[search]": "A.P"}, ["a.pdf"]),
    ({"filters[file_type][]": "DWG"}, ["b.dwg"]),
    ({"filters[file_type]": ["pdf", "dwg"]}, ["a.pdf", "b.dwg"]),
    ({"filters[updated_at]": "2024-05-01...2024-05-01"}, ["b.dwg"]),
    ({"filters[updated_at]": "2024-05-01T10:00:00Z...2024-05-01T12:00:00+02:00"}, ["b.dwg"]),
    ({"filters[created_by_id][]": str(BOB)}, ["a.pdf"]),
    ({"filters[document_type]": "folder", "filters[search]": "in", "filters[folder_id]": "TOP"}, ["In"]),
]


@pytest.mark.parametrize(("filters", "names"), FILTERS)
async def test_filters(api: Api, filters: dict[str, str], names: list[str]) -> None:
    top = api.folder("Top")
    inner = api.folder("In", top)
    api.file("a.pdf", top, created_by=BOB)
    api.file("b.dwg", inner, updated_at="2024-05-01T10:00:00Z")
    asked = {name: str(top) if value == "TOP" else value for name, value in filters.items()}
    assert sorted(await api.names(**asked)) == sorted(names)


@pytest.mark.parametrize(
    "params",
    [
        {"filters[updated_at]": "2024-01-01..2024-02-01"}, {"filters[size]": "1"}, {"view": "full"}, {"sort": "size"},
        {"filters[folder_id]": "12"}, {"filters[document_type]": "link"}, {"filters[is_in_recycle_bin]": "maybe"},
        {"filters[created_by_id]": "me"}, {"per_page": "many"}, {"filters[updated_at]": "yesterday...today"},
    ],
)  # fmt: skip
async def test_what_makes_no_sense_is_refused(api: Api, params: dict[str, str]) -> None:
    assert (await api.call("GET", DOCUMENTS, params=params, checked=False)).status_code == 400


async def test_version_2_has_text_ids_and_no_paths(api: Api) -> None:
    secret = api.folder("Secret", private=1)
    for number in range(12):
        api.file(f"{number}.pdf", secret)
    api.level(SERVICE, 4)
    for path in (V2, f"{V2_COMPANY}/documents"):
        response = await api.call("GET", path, params={"view": "extended", "filters[document_type]": "file"})
        assert (response.headers["per-page"], response.headers["total"]) == ("10", "12")
        entry = response.json()["data"][0]
        assert "name_with_path" not in entry
        assert isinstance(entry["id"], str)
        assert entry["private_parent"] == {"id": str(secret), "name": "Secret"}
        assert isinstance(entry["file"]["current_version"]["prostore_file"]["id"], str)
    response = await api.call("GET", V2, params={"per_page": 500}, checked=False)
    assert response.headers["per-page"] == "100"


async def test_the_version_1_index_can_be_gone(api: Api) -> None:
    api.switch(index_v1=False)
    assert (await api.call("GET", DOCUMENTS)).status_code == 404
    assert (await api.call("GET", V2)).status_code == 200


async def test_version_2_folder_children(api: Api) -> None:
    top = api.folder("Top")
    api.file("z.pdf", top)
    inner = api.folder("In", top)
    api.file("deep.pdf", inner)
    api.folder("Trash", BIN, deleted=1)
    root = (await api.get(f"{V2_COMPANY}/folders"))["data"]
    assert [entry["name"] for entry in root] == ["Schedules", "Top"]
    children = (await api.get(f"{V2_COMPANY}/folders/{top}"))["data"]
    assert [(entry["name"], entry["has_private_ancestor"]) for entry in children] == [("In", False), ("z.pdf", False)]
    compact = await api.call("GET", f"{V2_COMPANY}/folders/{top}", params={"view": "sync_compact"}, checked=False)
    assert "has_private_ancestor" not in compact.json()["data"][0]
    alone = await api.call("GET", f"{V2_COMPANY}/folders/{top}", params={"include_descendants": "true"})
    assert (alone.status_code, "error" in alone.json()) == (400, True)
    below = {"include_descendants": "true", "filters[document_type]": "file"}
    response = await api.call("GET", f"{V2_COMPANY}/folders/{top}", params=below)
    assert [entry["name"] for entry in response.json()["data"]] == ["deep.pdf", "z.pdf"]
    assert response.headers["total"] == "2"
    binned = await api.get(f"{V2_COMPANY}/folders/{BIN}")
    assert [entry["name"] for entry in binned["data"]] == ["Trash"]
    assert (await api.call("GET", f"{V2_COMPANY}/folders/12")).status_code == 404
    assert SCHEDULES != ROOT


async def test_revisions_are_the_newest_twenty(api: Api) -> None:
    file_id = api.file("many.pdf", sizes=tuple(range(1, 26)))
    for base in (V2, f"{V2_COMPANY}/documents"):
        listed = (await api.get(f"{base}/{file_id}/revisions"))["data"]
        assert [revision["file_version"] for revision in listed] == list(range(25, 5, -1))
        assert listed[0]["file_size"] == 25
        assert listed[0]["file_type"] == "pdf"
    assert (await api.call("GET", f"{V2}/{ROOT}/revisions")).status_code == 404
