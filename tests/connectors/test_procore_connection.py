"""The connection test's findings, calls that are made again, and the budget's share in them."""

from typing import Any

import pytest

from migration.budget import RateLimitReading, UnlimitedBudget
from migration.contract import ConnectionReport, Finding
from migration.errors import BudgetExhausted, ConfigurationError, RetryableError
from simulator.server import Running
from tests.connectors.procore_support import SimulatorClock, calls, connected, kept, listed_paths, walked
from tests.servers import ProcoreSimulators


@pytest.fixture
def served(procore_simulator: ProcoreSimulators) -> Running:
    return procore_simulator(files=10, settings={"spike_calls": 10_000, "hourly_calls": 100_000})


def finding(report: ConnectionReport, code: str) -> Finding:
    return next(one for one in report.findings if one.code == code)


async def test_the_report_of_a_good_connection(procore_simulator: ProcoreSimulators) -> None:
    served = procore_simulator(files=10)
    async with connected(served) as connector:
        report = await connector.test()
    assert report.usable
    assert report.who == "SiteHaul Service Account (sitehaul-dmsa@example.com)"
    assert report.roots == ("Harbor Street Medical Center", "Lakeside Elementary Modernization")
    assert str(served.facts["company_id"]) in finding(report, "company").message
    assert "'Standard'" in finding(report, "rights").message
    assert "Riverside Parking Structure" in finding(report, "documents-off").message
    assert "Harbor Street" in finding(report, "private-not-visible").message
    assert "3600 calls per hour" in finding(report, "rate-limits").message
    assert "of 100 calls left" in finding(report, "rate-limits").message
    for one in report.findings:
        assert one.level == "info" or one.fix


async def test_an_administrator_sees_everything(served: Running) -> None:
    for project in served.facts["projects"]:
        served.edit({"op": "permission", "project_id": project["id"], "level": 4})
        served.edit({"op": "project", "project_id": project["id"], "documents_on": 1})
    async with connected(served, hourly_calls=100_000, spike_calls=10_000) as connector:
        report = await connector.test()
    assert {one.level for one in report.findings} == {"info"}
    assert len(report.roots) == 4


BROKEN: dict[str, tuple[dict[str, Any], list[dict[str, Any]], str]] = {
    "app not installed": ({"installed": False}, [], "app-not-installed"),
    "a sign-in page instead of data": ({}, [{"fault": "html-200"}], "not-json"),
    "redirected": ({}, [{"fault": "foreign-redirect"}], "not-procore"),
    "a token that means nothing": ({}, [{"fault": "401"}], "token-refused"),
    "a host that always fails": ({}, [{"fault": "500"}], "server-fault"),
    "a sign-in page instead of a token": ({}, [{"host": "login", "fault": "html-200"}], "not-procore"),
    "a login host that redirects": ({}, [{"host": "login", "fault": "foreign-redirect"}], "not-procore"),
    "a login host that fails": ({}, [{"host": "login", "fault": "502"}], "login-unavailable"),
    "the hour is used up": ({}, [{"fault": "429-hour"}], "rate-limited"),
}


@pytest.mark.parametrize(("switches", "rules", "code"), BROKEN.values(), ids=BROKEN)
async def test_what_is_broken_is_said_with_the_remedy(
    served: Running, switches: dict[str, Any], rules: list[dict[str, Any]], code: str
) -> None:
    served.settings(**switches)
    served.faults(rules)
    async with connected(served) as connector:
        report = await connector.test()
    (problem,) = [one for one in report.findings if one.level == "problem"]
    assert not report.usable
    assert problem.code == code
    assert problem.message.endswith(".")
    assert problem.fix or code in ("server-fault", "login-unavailable")
    assert not any(request["authorization"] for request in calls(served, "peer"))


async def test_a_company_that_is_not_ones_own_is_said(served: Running) -> None:
    async with connected(served, company_id=999) as connector:
        report = await connector.test()
    assert not report.usable


async def test_a_project_without_permission_is_said(served: Running) -> None:
    project = served.project
    served.faults([{"route": "settings/permissions", "fault": "404"}])
    async with connected(served) as connector:
        with pytest.raises(ConfigurationError) as caught:
            await walked(connector, (project["name"],))
        report = await connector.test()
    assert caught.value.code == "project-not-permitted"
    assert caught.value.fix
    assert finding(report, "project-not-permitted").level == "warning"


@pytest.mark.parametrize("shape", ["string", "list", "object", "message"])
async def test_every_error_shape_says_that_the_app_is_not_installed(served: Running, shape: str) -> None:
    served.settings(installed=False, error_shape=shape)
    async with connected(served) as connector:
        with pytest.raises(ConfigurationError) as caught:
            await walked(connector, (served.project["name"],))
    assert caught.value.code == "app-not-installed"


PASSING: dict[str, list[dict[str, Any]]] = {
    "spike limit": [{"fault": "429-spike", "nth": [1, 3]}],
    "overloaded": [{"fault": "503", "retry_after": 5, "nth": [2, 3]}],
    "overloaded without a time": [{"fault": "503", "retry_after": None, "count": 1}],
    "server faults": [{"fault": "500", "nth": [1, 2]}, {"fault": "502", "nth": 5}],
    "connections cut": [{"fault": "reset", "nth": [1, 4]}, {"fault": "lost-response", "nth": 2}],
    "bodies cut": [{"fault": "truncated", "nth": [2, 4]}, {"fault": "reset-mid-body", "nth": 6}],
    "no JSON": [{"fault": "html-200", "nth": 3}],
    "a fifth of everything": [
        {"fault": fault, "probability": 0.04, "seed": seed}
        for seed, fault in enumerate(["429-spike", "503", "500", "502", "reset", "truncated", "lost-response"])
    ],
}


@pytest.mark.parametrize("rules", PASSING.values(), ids=PASSING)
async def test_passing_faults_pass(served: Running, rules: list[dict[str, Any]]) -> None:
    root = (served.facts["projects"][1]["name"],)
    budget, clock = UnlimitedBudget(), SimulatorClock(served)
    async with connected(served, page_size=7, budget=budget, clock=clock) as connector:
        whole = listed_paths(await walked(connector, root))
        served.clear_log()
        before = budget.calls_taken
        served.faults(rules)
        assert listed_paths(await walked(connector, root)) == whole
    assert budget.calls_taken - before == len(calls(served))  # no call is made that was not taken
    assert clock.slept


class WatchingBudget(UnlimitedBudget):
    """Remembers what it is told; `left` calls are granted."""

    def __init__(self, left: int = 1000) -> None:
        super().__init__()
        self.left = left
        self.seen: list[RateLimitReading] = []
        self.refusals: list[float | None] = []

    async def take(self, calls: int = 1) -> None:
        if self.left < calls:
            raise BudgetExhausted("the calls of this hour are used up")
        self.left -= calls
        await super().take(calls)

    async def observe(self, reading: RateLimitReading) -> None:
        self.seen.append(reading)

    async def refused(self, *, retry_after_seconds: float | None, reading: RateLimitReading | None) -> None:
        self.refusals.append(retry_after_seconds)


async def test_the_budget_is_told_everything(served: Running) -> None:
    budget = WatchingBudget()
    served.faults([{"fault": "429-spike", "nth": 2, "seconds": 6}, {"fault": "503", "nth": 4, "retry_after": 3}])
    async with connected(served, budget=budget) as connector:
        await walked(connector, (served.project["name"],))
    assert budget.calls_taken == len(calls(served)) == len(budget.seen)
    assert len(budget.refusals) == 2
    assert 6 <= (budget.refusals[0] or 0) <= 8
    assert budget.refusals[1] == 3


async def test_a_used_up_budget_stops_a_walk_where_it_can_go_on(served: Running) -> None:
    root = (served.facts["projects"][1]["name"],)
    async with connected(served, page_size=5) as connector:
        whole = kept(await walked(connector, root))
    entries, cursor, rounds = [], None, 0
    while True:
        rounds += 1
        async with connected(served, page_size=5, budget=WatchingBudget(left=9)) as connector:
            try:
                async for page in connector.walk(root, cursor):
                    entries = [] if page.restarted else entries
                    entries += page.entries
                    cursor = page.cursor
                break
            except BudgetExhausted:
                assert rounds < 10
    assert rounds > 1
    assert entries == whole


async def test_a_used_up_budget_is_a_warning_of_the_test(served: Running) -> None:
    async with connected(served, budget=WatchingBudget(left=2)) as connector:
        report = await connector.test()
    assert report.usable
    assert finding(report, "budget-used-up").level == "warning"


async def test_an_hour_is_not_waited_for_inside_a_call(served: Running) -> None:
    clock = SimulatorClock(served)
    served.faults([{"fault": "429-hour"}])
    async with connected(served, clock=clock) as connector:
        with pytest.raises(RetryableError) as caught:
            await walked(connector, (served.project["name"],))
    assert caught.value.code == "rate-limited"
    assert (caught.value.retry_after_seconds or 0) > 3000
    assert not clock.slept
