"""Custom tags of documents (API.md section 2.8). A tag is made by its first use and goes with its last."""

from simulator.api import pages
from simulator.api.documents import Json, visible
from simulator.api.errors import ApiError, invalid
from simulator.api.request import STANDARD, ApiRequest, Project, number_like
from simulator.web import Answer


async def show(request: ApiRequest) -> Answer:
    """GET …/document_custom_tags, of the project or of one document."""
    project = request.project_in_path().documents()
    text = request.call.first("filters[document_id]")
    if text is None:
        rows = request.store.all("SELECT id, name FROM custom_tags WHERE project_id = ? ORDER BY id", project.id)
    else:
        rows = request.store.all(
            "SELECT t.id, t.name FROM custom_tags t JOIN document_tags u ON u.tag_id = t.id "
            "WHERE u.document_id = ? ORDER BY t.id",
            _document(request, project, text),
        )
    page = pages.asked(request)
    tags: list[Json] = [{"id": row["id"], "name": row["name"]} for row in page.of(rows)]
    return Answer.json(tags, headers=pages.headers(request, page, len(rows)))


async def create(request: ApiRequest) -> Answer:
    """POST …/document_custom_tags."""
    project = request.project_in_path().documents(STANDARD)
    values = await request.section("document_custom_tag")
    name = values.get("name")
    if not isinstance(name, str) or not name.strip():
        raise invalid("name", "can't be blank")
    document_id = _document(request, project, (await request.fields()).get("document_id"))
    tag = request.store.one("SELECT id, name FROM custom_tags WHERE project_id = ? AND name = ?", project.id, name)
    tag_id = tag["id"] if tag else request.store.insert("custom_tags", project_id=project.id, name=name)
    request.store.insert("document_tags", document_id=document_id, tag_id=tag_id)
    return Answer.json({"id": tag_id, "name": name})


async def delete(request: ApiRequest) -> Answer:
    """DELETE …/document_custom_tags/{id}: takes the tag off one document."""
    project = request.project_in_path().documents(STANDARD)
    tag_id = request.path_number("id")
    document_id = _document(request, project, request.call.first("document_id"))
    row = request.store.one(
        "SELECT t.id, t.name FROM custom_tags t JOIN document_tags u ON u.tag_id = t.id "
        "WHERE t.id = ? AND u.document_id = ?",
        tag_id, document_id,
    )  # fmt: skip
    if row is None:
        raise ApiError(400, "The document does not have this tag.")
    request.store.execute("DELETE FROM document_tags WHERE document_id = ? AND tag_id = ?", document_id, tag_id)
    if request.store.one("SELECT 1 FROM document_tags WHERE tag_id = ?", tag_id) is None:
        request.store.execute("DELETE FROM custom_tags WHERE id = ?", tag_id)
    return Answer.json({"id": row["id"], "name": row["name"]})


def _document(request: ApiRequest, project: Project, value: object) -> int:
    if not number_like(value):
        raise invalid("document_id", "can't be blank" if value is None else "is invalid")
    row = request.store.one("SELECT * FROM documents WHERE id = ? AND project_id = ?", int(str(value)), project.id)
    if row is None or not visible(request, project, row):
        raise invalid("document_id")
    return int(row["id"])
