from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from simulator.server import Running
from tests.servers import ProcoreSimulators


@pytest.fixture(scope="module")
def served(shared_procore_simulator: ProcoreSimulators) -> Running:
    return shared_procore_simulator(5, projects=1)


@pytest.fixture(autouse=True)
def no_faults(served: Running) -> None:
    served.faults([])


def user_pair(served: Running) -> dict[str, str]:
    return {"client_id": served.facts["user_client_id"], "client_secret": served.facts["user_client_secret"]}


def token_call(served: Running, **fields: str) -> httpx.Response:
    return httpx.post(f"{served.facts['login_url']}/oauth/token", data=fields)


def code_of(served: Running, state: str = "xyz") -> str:
    answer = httpx.get(
        f"{served.facts['login_url']}/oauth/authorize",
        params={
            "response_type": "code", "client_id": served.facts["user_client_id"], "state": state,
            "redirect_uri": served.facts["redirect_uri"],
        },
    )  # fmt: skip
    assert answer.status_code == 302
    query = parse_qs(urlsplit(answer.headers["location"]).query)
    assert query["state"] == [state]
    return query["code"][0]


def consent(served: Running) -> dict[str, Any]:
    answer = token_call(
        served, grant_type="authorization_code", code=code_of(served), redirect_uri=served.facts["redirect_uri"],
        **user_pair(served),
    )  # fmt: skip
    return dict(answer.raise_for_status().json())


def refreshed(served: Running, refresh_token: str) -> httpx.Response:
    return token_call(served, grant_type="refresh_token", refresh_token=refresh_token, **user_pair(served))


def good(served: Running, access_token: str) -> bool:
    info = httpx.get(
        f"{served.facts['login_url']}/oauth/token/info", headers={"Authorization": f"Bearer {access_token}"}
    )
    return info.status_code == 200


def test_a_code_is_good_once_and_for_ten_minutes(served: Running) -> None:
    code, fields = code_of(served), {"grant_type": "authorization_code", "redirect_uri": served.facts["redirect_uri"]}
    assert token_call(served, code=code, **fields, **user_pair(served)).status_code == 200
    assert token_call(served, code=code, **fields, **user_pair(served)).json()["error"] == "invalid_grant"
    late = code_of(served)
    served.advance(601)
    assert token_call(served, code=late, **fields, **user_pair(served)).status_code == 401


def test_out_of_band_shows_the_code_in_the_page(served: Running) -> None:
    answer = httpx.get(
        f"{served.facts['login_url']}/oauth/authorize",
        params={
            "response_type": "code", "client_id": served.facts["user_client_id"],
            "redirect_uri": "urn:ietf:wg:oauth:2.0:oob",
        },
    )  # fmt: skip
    assert "<code>" in answer.text


def test_client_credentials_give_no_refresh_token_in_every_body_shape(served: Running) -> None:
    pair = {"client_id": served.facts["client_id"], "client_secret": served.facts["client_secret"]}
    url, grant = f"{served.facts['login_url']}/oauth/token", {"grant_type": "client_credentials"}
    answers = [
        httpx.post(url, data={**grant, **pair}),
        httpx.post(url, json={**grant, **pair}),
        httpx.post(url, files={name: (None, value) for name, value in {**grant, **pair}.items()}),
        httpx.post(url, data=grant, auth=(pair["client_id"], pair["client_secret"])),
    ]
    for answer in answers:
        token = answer.json()
        assert (answer.status_code, token["token_type"], token["expires_in"]) == (200, "bearer", 5400)
        assert "refresh_token" not in token


def test_a_wrong_secret_is_an_invalid_client(served: Running) -> None:
    answer = token_call(
        served, grant_type="client_credentials", client_id=served.facts["client_id"], client_secret="wrong"
    )
    assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client")


def test_a_refresh_token_is_used_up_by_any_attempt(served: Running) -> None:
    first = consent(served)
    second = refreshed(served, first["refresh_token"]).json()
    assert second["refresh_token"] != first["refresh_token"]
    again = refreshed(served, first["refresh_token"])
    assert (again.status_code, again.json()["error_description"]) == (401, "The refresh token is invalid")
    wrong = token_call(
        served, grant_type="refresh_token", refresh_token=second["refresh_token"],
        client_id=served.facts["user_client_id"], client_secret="wrong",
    )  # fmt: skip
    assert wrong.json()["error"] == "invalid_client"
    assert refreshed(served, second["refresh_token"]).status_code == 401


def test_a_refresh_whose_answer_is_lost_has_happened(served: Running) -> None:
    first = consent(served)
    served.faults([{"host": "login", "method": "POST", "route": "/oauth/token", "fault": "lost-response", "count": 1}])
    with pytest.raises(httpx.TransportError):
        refreshed(served, first["refresh_token"])
    assert refreshed(served, first["refresh_token"]).status_code == 401
    assert served.log()[-2] | {"time": 0} == {
        "time": 0, "host": "login", "method": "POST", "path": "/oauth/token", "query": "", "status": 0, "client": None,
        "authorization": False, "range": None, "fault": "lost-response",
    }  # fmt: skip


def test_a_reset_before_the_refresh_leaves_the_token_good(served: Running) -> None:
    first = consent(served)
    served.faults([{"host": "login", "fault": "reset", "count": 1}])
    with pytest.raises(httpx.TransportError):
        refreshed(served, first["refresh_token"])
    assert refreshed(served, first["refresh_token"]).status_code == 200


def test_tokens_expire_are_revoked_and_tell_about_themselves(served: Running) -> None:
    token = consent(served)
    assert good(served, token["access_token"])
    served.advance(5401)
    assert not good(served, token["access_token"])
    renewed = refreshed(served, token["refresh_token"]).json()
    url = f"{served.facts['login_url']}/oauth/revoke"
    assert httpx.post(url, data={"token": "unknown", **user_pair(served)}).status_code == 200
    assert httpx.post(url, data={"token": renewed["access_token"], **user_pair(served)}).status_code == 200
    assert not good(served, renewed["access_token"])
    assert refreshed(served, renewed["refresh_token"]).status_code == 401
