"""Signing in at the simulator: both grants, rotation, lost answers, several users of one connection, clear errors."""

import asyncio
import json
import sys
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from connectors.procore.oauth import authorization_url, exchange_code
from connectors.procore.settings import ProcoreSettings
from connectors.tokens import FileTokenStore, MemoryTokenStore, Tokens, TokenStore
from migration.errors import ConfigurationError, FatalError, SiteHaulError
from simulator.server import Running
from tests.connectors.procore_support import (
    SimulatorClock,
    calls,
    connected,
    kept,
    personal_settings,
    settings_for,
    walked,
)
from tests.servers import ProcoreSimulators

LIFETIME = 5400


@pytest.fixture
def served(procore_simulator: ProcoreSimulators) -> Running:
    return procore_simulator(files=10, settings={"spike_calls": 10_000})


def consent(settings: ProcoreSettings) -> str:
    """What a person does in the browser: the code they are shown."""
    page = httpx.get(authorization_url(settings)).raise_for_status().text
    return page.partition("<code>")[2].partition("</code>")[0]


async def signed_in(served: Running, store: TokenStore, **changes: Any) -> ProcoreSettings:
    settings = personal_settings(served, **changes)
    await exchange_code(settings, consent(settings), store, clock=SimulatorClock(served))
    return settings


def logins(served: Running) -> int:
    return len([call for call in calls(served, "login") if call["path"] == "/oauth/token"])


async def test_a_service_account_signs_in_once_for_many_calls(served: Running) -> None:
    async with connected(served) as connector:
        assert (await connector.test()).usable
        assert kept(await walked(connector, (served.project["name"],)))
    assert logins(served) == 1


async def test_tokens_are_shared_through_the_store(served: Running) -> None:
    store = MemoryTokenStore()
    for _ in range(3):
        async with connected(served, tokens=store) as connector:
            assert (await connector.test()).usable
    assert logins(served) == 1


async def test_a_token_is_renewed_before_it_expires(served: Running) -> None:
    clock = SimulatorClock(served)
    async with connected(served, clock=clock) as connector:
        await connector.test()
        await clock.sleep(LIFETIME - 30)
        await connector.test()
    assert logins(served) == 2
    assert all(call["status"] == 200 for call in calls(served))


async def test_a_token_refused_before_its_time_is_renewed_and_the_call_made_again(served: Running) -> None:
    async with connected(served) as connector:
        await connector.test()
        served.edit({"op": "expire_tokens"})
        served.clear_log()
        assert (await connector.test()).usable
    assert [call["status"] for call in calls(served)].count(401) == 1
    assert logins(served) == 1


@pytest.mark.parametrize("skew_seconds", [3600, -3600])
async def test_a_clock_that_is_an_hour_wrong_changes_nothing(served: Running, skew_seconds: float) -> None:
    clock = SimulatorClock(served, skew_seconds)
    async with connected(served, clock=clock) as connector:
        assert kept(await walked(connector, (served.project["name"],)))
        served.advance(LIFETIME + 60)
        served.faults([{"fault": "429-spike", "count": 1, "seconds": 8}])
        assert kept(await walked(connector, (served.project["name"],)))
        report = await connector.test()
    assert report.usable
    assert "clock-skew" in {finding.code for finding in report.findings}
    assert sum(clock.slept) < 15


async def test_a_person_signs_in_by_code_and_stays_signed_in(served: Running) -> None:
    store, clock = MemoryTokenStore(), SimulatorClock(served)
    settings = await signed_in(served, store)
    seen = set()
    async with connected(served, settings=settings, tokens=store, clock=clock) as connector:
        for _ in range(4):
            assert (await connector.test()).usable
            tokens = await store.load()
            assert tokens is not None
            seen.add(tokens.refresh_token)
            await clock.sleep(LIFETIME)
    assert len(seen) == 4  # every refresh token is used once and replaced


async def test_the_address_to_agree_at_names_the_client_and_no_secret(served: Running) -> None:
    settings = personal_settings(served)
    address = authorization_url(settings, state="xyz")
    query = parse_qs(urlsplit(address).query)
    assert query["client_id"] == [settings.client_id]
    assert query["state"] == ["xyz"]
    assert settings.client_secret.get_secret_value() not in address


async def test_many_tasks_renew_once(served: Running) -> None:
    store, clock = MemoryTokenStore(), SimulatorClock(served)
    settings = await signed_in(served, store)
    await clock.sleep(LIFETIME)
    served.clear_log()
    async with connected(served, settings=settings, tokens=store, clock=clock) as connector:
        reports = await asyncio.gather(*(connector.test() for _ in range(12)))
    assert all(report.usable for report in reports)
    assert logins(served) == 1


async def test_two_processes_never_destroy_each_others_token(served: Running, tmp_path: Path) -> None:
    served.settings(access_token_seconds=1)
    store = FileTokenStore(tmp_path / "store")
    settings = await signed_in(served, store)
    values = settings.model_dump(mode="json") | {"client_secret": settings.client_secret.get_secret_value()}
    (tmp_path / "settings.json").write_text(json.dumps(values))
    command = [sys.executable, "-m", "tests.connectors.procore_process"]
    arguments = [str(tmp_path / "settings.json"), str(tmp_path / "store"), "25"]
    processes = [
        await asyncio.create_subprocess_exec(*command, *arguments, stderr=asyncio.subprocess.PIPE) for _ in range(2)
    ]
    errors = [(await process.communicate())[1].decode() for process in processes]
    assert [process.returncode for process in processes] == [0, 0], errors
    refused = [call for call in calls(served, "login") if call["status"] != 200]
    assert not refused


async def test_a_lost_answer_to_a_renewal_is_said_and_harms_nothing_else(served: Running) -> None:
    store, clock = MemoryTokenStore(), SimulatorClock(served)
    settings = await signed_in(served, store)
    await clock.sleep(LIFETIME)
    served.faults([{"host": "login", "fault": "lost-response", "count": 1}])
    async with connected(served, settings=settings, tokens=store, clock=clock) as connector:
        with pytest.raises(ConfigurationError) as caught:
            await walked(connector, (served.project["name"],))
        assert caught.value.code == "sign-in-again"
        assert "lost" in caught.value.message
        assert "--sign-in" in (caught.value.fix or "")
        served.faults([])
        await exchange_code(settings, consent(settings), store, clock=clock)
        assert (await connector.test()).usable


async def test_a_renewal_that_never_reached_procore_is_made_again(served: Running) -> None:
    store, clock = MemoryTokenStore(), SimulatorClock(served)
    settings = await signed_in(served, store)
    await clock.sleep(LIFETIME)
    served.faults([{"host": "login", "fault": "reset", "count": 1}, {"host": "login", "fault": "503", "count": 1}])
    async with connected(served, settings=settings, tokens=store, clock=clock) as connector:
        assert (await connector.test()).usable


async def test_a_caller_that_stops_does_not_lose_the_new_tokens(served: Running) -> None:
    store, clock = MemoryTokenStore(), SimulatorClock(served)
    settings = await signed_in(served, store)
    before = await store.load()
    await clock.sleep(LIFETIME)
    served.settings(latency_ms=150.0)
    async with connected(served, settings=settings, tokens=store, clock=clock) as connector:
        task = asyncio.create_task(connector.test())
        while logins(served) == 1:  # noqa: ASYNC110 - the simulator has no event to wait for
            await asyncio.sleep(0.005)
        task.cancel()
        await asyncio.wait([task])
    after = await store.load()
    assert after != before
    served.settings(latency_ms=0.0)
    async with connected(served, settings=settings, tokens=store, clock=clock) as connector:
        assert (await connector.test()).usable


class UnwritableStore(MemoryTokenStore):
    """A store on a full disk."""

    async def save(self, tokens: Tokens) -> None:
        raise FatalError("tokens-not-saved", "The disk is full.", fix="Make room.")


async def test_a_token_that_cannot_be_stored_is_not_used(served: Running) -> None:
    async with connected(served, tokens=UnwritableStore()) as connector:
        report = await connector.test()
    assert [finding.code for finding in report.findings if finding.level == "problem"] == ["tokens-not-saved"]
    assert not calls(served)


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "secret": ({"client_secret": "wrong"}, "client-refused"),
    "client": ({"client_id": "wrong"}, "client-refused"),
    "login host": ({"login_url": "http://127.0.0.1:9"}, "unreachable"),
    "API host": ({"api_url": "http://127.0.0.1:9"}, "unreachable"),
}


@pytest.mark.parametrize(("changes", "code"), WRONG.values(), ids=WRONG)
async def test_a_wrong_setting_is_said(served: Running, changes: dict[str, Any], code: str) -> None:
    async with connected(served, **changes) as connector:
        report = await connector.test()
        (problem,) = [finding for finding in report.findings if finding.level == "problem"]
        with pytest.raises(SiteHaulError) as caught:
            await walked(connector, (served.project["name"],))
    assert not report.usable
    assert problem.code == caught.value.code == code
    assert problem.fix
    assert served.facts["client_secret"] not in str(report)


async def test_a_revoked_sign_in_stops_a_run_that_is_under_way(served: Running) -> None:
    store, clock = MemoryTokenStore(), SimulatorClock(served)
    settings = await signed_in(served, store)
    served.edit({"op": "add_file", "project_id": served.project["id"], "path": ["a.pdf"]})
    served.edit({"op": "permission", "project_id": served.project["id"], "level": 4, "user_id": 8000001})
    async with connected(served, settings=settings, tokens=store, clock=clock) as connector:
        roots = (await connector.test()).roots
        entry = next(entry for entry in kept(await walked(connector, roots[:1])) if entry.is_file)
        served.edit({"op": "revoke_tokens"})
        with pytest.raises(FatalError) as caught:
            async with connector.open(entry):
                pass
    assert caught.value.code == "sign-in-again"


@pytest.mark.parametrize("code", ["wrong", ""])
async def test_a_wrong_code_is_said(served: Running, code: str) -> None:
    with pytest.raises(FatalError) as caught:
        await exchange_code(personal_settings(served), code, MemoryTokenStore(), clock=SimulatorClock(served))
    assert caught.value.code == "sign-in-again"


async def test_stored_tokens_of_another_client_are_not_used(served: Running) -> None:
    store = MemoryTokenStore()
    await signed_in(served, store)
    async with connected(served, settings=settings_for(served), tokens=store) as connector:
        assert (await connector.test()).usable


async def test_a_token_file_is_private_durable_and_says_when_it_is_damaged(served: Running, tmp_path: Path) -> None:
    store = FileTokenStore(tmp_path / "new" / "store")
    assert await store.load() is None
    settings = await signed_in(served, store)
    tokens = await store.load()
    file = tmp_path / "new" / "store" / "tokens.json"
    assert tokens is not None
    assert tokens.client_id == settings.client_id
    assert tokens.access_token not in repr(tokens)
    assert file.stat().st_mode & 0o777 == 0o600
    file.write_text("{")
    with pytest.raises(ConfigurationError) as caught:
        await store.load()
    assert caught.value.code == "tokens-unreadable"


async def test_one_holder_at_a_time(tmp_path: Path) -> None:
    stores = [FileTokenStore(tmp_path), FileTokenStore(tmp_path)]
    inside = 0

    async def hold(store: FileTokenStore) -> None:
        nonlocal inside
        async with store.exclusive():
            inside += 1
            assert inside == 1
            await asyncio.sleep(0)
            inside -= 1

    await asyncio.gather(*(hold(store) for store in stores * 5))
