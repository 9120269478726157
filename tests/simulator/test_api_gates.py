import pytest

from tests.simulator.api_support import ANNA, BOB, COMPANY, DOCUMENTS, PROJECT, SERVICE, Api, api

__all__ = ["api"]
ME, COMPANIES, PROJECTS = "/rest/v1.0/me", "/rest/v1.0/companies", "/rest/v1.0/projects"
MANIFEST = "/rest/v1.0/settings/permissions"


async def test_a_token_that_is_not_alive_is_401_before_anything_else(api: Api) -> None:
    response = await api.call("GET", DOCUMENTS, headers={"authorization": "Bearer nonsense", "procore-company-id": "1"})
    assert (response.status_code, response.json()) == (401, {"errors": "The access token is invalid"})
    api.clock.advance(api.settings.access_token_seconds + 1)
    assert (await api.call("GET", ME)).status_code == 401


async def test_the_company_header_is_asked_for_in_plain_text(api: Api) -> None:
    without = {"procore-company-id": ""}
    response = await api.call("GET", DOCUMENTS, headers=without, checked=False)
    assert response.status_code == 400
    assert response.headers["content-type"].startswith("text/plain")
    assert response.text.startswith("Missing Procore-Company-Id header!")
    assert (await api.call("GET", ME, headers=without, user=ANNA)).status_code == 200
    assert (await api.call("GET", COMPANIES, headers=without, user=ANNA)).status_code == 200
    assert (await api.call("GET", ME, headers=without, checked=False)).status_code == 400  # a service account


async def test_a_company_parameter_stands_in_for_the_header_by_switch(api: Api) -> None:
    api.switch(company_header_strict=False)
    without = {"procore-company-id": ""}
    response = await api.call("GET", PROJECTS, headers=without, params={"company_id": COMPANY}, checked=False)
    assert response.status_code == 200
    assert (await api.call("GET", COMPANIES, headers=without)).status_code == 200


async def test_an_app_that_is_not_connected_still_sees_its_companies(api: Api) -> None:
    api.switch(installed=False)
    response = await api.call("GET", DOCUMENTS)
    assert (response.status_code, response.json()) == (403, {"errors": ["App is not connected to this company."]})
    assert [company["id"] for company in await api.get(COMPANIES)] == [COMPANY]


async def test_another_company_is_refused_wherever_it_is_named(api: Api) -> None:
    assert (await api.call("GET", DOCUMENTS, headers={"procore-company-id": "12"})).status_code == 403
    response = await api.call("GET", PROJECTS, params={"company_id": 12})
    assert (response.status_code, response.json()["message"]) == (403, "Invalid Project or Company")
    response = await api.call("GET", f"/rest/v2.0/companies/12/projects/{PROJECT}/documents")
    assert (response.status_code, response.json()["error"]["code"]) == (403, "FORBIDDEN")


async def test_projects_not_permitted_unknown_or_without_the_tool(api: Api) -> None:
    api.store.execute("DELETE FROM permissions WHERE user_id = ?", BOB)
    assert (await api.call("GET", DOCUMENTS, user=BOB)).status_code == 403
    assert (
        await api.call("GET", f"/rest/v1.0/projects/{PROJECT}", user=BOB, params={"company_id": COMPANY})
    ).status_code == 403
    assert await api.get(PROJECTS, user=BOB, params={"company_id": COMPANY}) == []
    assert (await api.call("GET", "/rest/v1.0/projects/9/documents")).status_code == 404
    assert (await api.call("GET", "/rest/v1.0/folders", params={"project_id": 9})).status_code == 403
    api.store.execute("UPDATE projects SET documents_on = 0")
    assert (await api.call("GET", DOCUMENTS)).status_code == 403
    documents = (await api.get(MANIFEST, params={"project_id": PROJECT}))["tools"][0]
    assert documents["available_for_user"] is False
    assert documents["user_access_level"] == {"id": 1, "name": "None"}


@pytest.mark.parametrize(
    ("level", "name", "may_read", "may_create"),
    [(1, "None", False, False), (2, "Read Only", True, False), (3, "Standard", True, True), (4, "Admin", True, True)],
)
async def test_levels(api: Api, level: int, name: str, may_read: bool, may_create: bool) -> None:
    api.level(SERVICE, level)
    documents = (await api.get(MANIFEST, params={"project_id": PROJECT}))["tools"][0]
    assert (documents["name"], documents["user_access_level"]["name"]) == ("documents", name)
    assert (documents["available_for_user"], documents["can_create"]) == (may_read, may_create)
    assert (await api.call("GET", DOCUMENTS)).status_code == (200 if may_read else 403)
    made = await api.call(
        "POST", "/rest/v1.0/folders", params={"project_id": PROJECT}, json={"folder": {"name": "New"}}
    )
    assert made.status_code == (201 if may_create else 403)


async def test_every_answer_counts_and_the_nearer_limit_is_shown(api: Api) -> None:
    api.switch(spike_calls=5, hourly_calls=7)
    statuses = []
    for path in (ME, "/rest/v1.0/nothing", DOCUMENTS, f"{DOCUMENTS}?view=strange", ME, ME):
        response = await api.call("GET", path, checked=False)
        statuses.append(response.status_code)
    assert statuses == [200, 404, 200, 400, 200, 429]
    assert response.text.startswith("You have surpassed the max number of requests for an hour.")
    assert (response.headers["x-rate-limit-limit"], response.headers["x-rate-limit-remaining"]) == ("5", "0")
    assert "retry-after" not in response.headers
    assert (await api.call("GET", ME, user=ANNA)).status_code == 200  # another client has its own windows
    api.clock.advance(11)
    response = await api.call("GET", ME)
    assert (response.headers["x-rate-limit-limit"], response.headers["x-rate-limit-remaining"]) == ("7", "1")
    await api.call("GET", ME)
    api.switch(retry_after_on_429=True)
    response = await api.call("GET", ME)
    assert response.status_code == 429
    assert 3500 < int(response.headers["retry-after"]) <= 3600
    reset_in_seconds = int(response.headers["x-rate-limit-reset"]) - api.clock.now()
    assert 3500 < reset_in_seconds <= 3600


@pytest.mark.parametrize(
    ("shape", "beginning"),
    [
        ("documented", '{"errors":{"sort":["must be one of'), ("string", '{"errors":"Sort must be one of'),
        ("list", '{"errors":["Sort must be one of'), ("object", '{"errors":{"sort":["must be one of'),
        ("message", '{"message":"Sort must be one of'),
    ],
)  # fmt: skip
async def test_shapes_of_version_1_errors(api: Api, shape: str, beginning: str) -> None:
    api.switch(error_shape=shape)
    response = await api.call("GET", DOCUMENTS, params={"sort": "size"}, checked=False)
    assert response.status_code == 400
    assert response.text.startswith(beginning)


@pytest.mark.parametrize(("shape", "kind"), [("text", "text/plain"), ("html", "text/html")])
async def test_errors_that_are_not_json(api: Api, shape: str, kind: str) -> None:
    api.switch(error_shape=shape)
    response = await api.call("GET", DOCUMENTS, params={"sort": "size"}, checked=False)
    assert response.headers["content-type"].startswith(kind)
    assert "Sort must be one of" in response.text


async def test_version_2_errors_come_in_an_envelope(api: Api) -> None:
    api.switch(v2_per_page_error=True)
    response = await api.call(
        "GET", f"/rest/v2.0/projects/{PROJECT}/documents", params={"per_page": 101}, checked=False
    )
    assert response.status_code == 400
    error = response.json()["error"]
    assert error["code"] == "BAD_REQUEST"
    assert error["details"][0]["reason_code"] == "INVALID_PROPERTY"
    response = await api.call(
        "GET", f"/rest/v2.0/projects/{PROJECT}/documents", headers={"authorization": "Bearer no"}, checked=False
    )
    assert (response.status_code, response.json()["error"]["code"]) == (401, "UNAUTHORIZED")


async def test_projects_in_both_versions(api: Api) -> None:
    listed = await api.get(PROJECTS, params={"company_id": COMPANY, "filters[by_status]": "Active"})
    assert [project["name"] for project in listed] == ["Harbor / Tower"]
    response = await api.call("GET", "/rest/v1.1/projects", params={"company_id": COMPANY, "per_page": 1000})
    assert (response.headers["total"], response.headers["per-page"]) == ("1", "300")
    assert await api.get(PROJECTS, params={"company_id": COMPANY, "filters[name]": "bridge"}) == []
    assert (await api.get(f"{PROJECTS}/{PROJECT}", params={"company_id": COMPANY}))["id"] == PROJECT
    assert (await api.call("GET", PROJECTS, checked=False)).status_code == 403
    compact = await api.call(
        "GET", "/rest/v1.1/projects", params={"company_id": COMPANY, "view": "compact"}, checked=False
    )
    assert "company" not in compact.json()[0]


async def test_the_old_common_host_signs_in_too_by_switch(api: Api) -> None:
    grant = {"grant_type": "client_credentials", "client_id": "service-client", "client_secret": "s"}
    assert (await api.client.post("/oauth/token", data=grant)).status_code == 401  # as any call without a token
    api.switch(oauth_on_api_host=True)
    signed_in = await api.client.post("/oauth/token", data=grant)
    assert (signed_in.status_code, "refresh_token" in signed_in.json()) == (200, False)
