"""The schedule of a job as a Prefect deployment of its own, `migrate/JOB`: its form holds the job, its page its runs.

A deployment of its own, because deploying prefect.yaml again replaces the schedules of the deployments named there.
`ensure_server` comes first.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID

from migration.errors import ConfigurationError
from migration.jobs import Job
from migration.start_times import Cron, Every, start_times

if TYPE_CHECKING:
    from prefect.client.orchestration import SyncPrefectClient
    from prefect.client.schemas.actions import DeploymentScheduleCreate
    from prefect.client.schemas.responses import DeploymentResponse

FLOW = "migrate"
TEMPLATE = f"{FLOW}/on-demand"
"""The deployment of prefect.yaml from which a job's own takes where its flow is and who runs it."""


@dataclass(frozen=True, slots=True)
class Scheduled:
    """A job's deployment."""

    deployment: str
    deployment_id: UUID
    starts: tuple[str, ...]
    """Cron expressions and intervals in words; empty: only people start it."""
    next_at: tuple[datetime, ...]
    """The next few starts that Prefect has made runs for."""


def put_schedule(job: Job) -> Scheduled:
    """Make the job's deployment, or bring it up to date: its parameters are the job, its schedules the job's.

    Raises ConfigurationError `not-deployed` when the flows are not deployed on this server.
    """
    from prefect.client.orchestration import get_client

    with get_client(sync_client=True) as client:
        template = _read(client, TEMPLATE)
        if template is None:
            raise ConfigurationError(
                "not-deployed",
                f"The flow is not deployed on the Prefect server as {TEMPLATE}.",
                fix="`sitehaul up` deploys it on the local server, `prefect deploy --all` on any other.",
            )
        client.create_deployment(
            flow_id=template.flow_id,
            name=job.name,
            schedules=_schedules(job),
            parameters={"job": job.model_dump(mode="json")},
            description=f"The job {job.name}, started by its own schedule.",
            tags=["sitehaul", "job"],
            path=template.path,
            entrypoint=template.entrypoint,
            pull_steps=template.pull_steps,
            work_pool_name=template.work_pool_name,
            work_queue_name=template.work_queue_name,
            parameter_openapi_schema=template.parameter_openapi_schema,
            enforce_parameter_schema=template.enforce_parameter_schema,
            job_variables=template.job_variables,
        )
    found = schedule_of(job.name)
    if found is None:
        raise ConfigurationError("not-deployed", f"The deployment of the job '{job.name}' is gone again.")
    return found


def schedule_of(job_name: str) -> Scheduled | None:
    """The job's deployment as it is on the server, None if it has none."""
    from prefect.client.orchestration import get_client

    with get_client(sync_client=True) as client:
        deployment = _read(client, f"{FLOW}/{job_name}")
        if deployment is None:
            return None
        runs = client.get_scheduled_flow_runs_for_deployments([deployment.id])
        times = sorted(run.next_scheduled_start_time for run in runs if run.next_scheduled_start_time is not None)
    starts = tuple(
        _in_words(one.schedule) for one in sorted(deployment.schedules, key=lambda one: one.slug or "") if one.active
    )
    return Scheduled(f"{FLOW}/{job_name}", deployment.id, starts, tuple(times[:3]))


def remove_schedule(job_name: str) -> bool:
    """Remove the job's deployment; whether there was one. Runs that go on go on."""
    from prefect.client.orchestration import get_client

    with get_client(sync_client=True) as client:
        deployment = _read(client, f"{FLOW}/{job_name}")
        if deployment is None:
            return False
        client.delete_deployment(deployment.id)
        return True


def _read(client: SyncPrefectClient, name: str) -> DeploymentResponse | None:
    from prefect.exceptions import ObjectNotFound

    try:
        return client.read_deployment_by_name(name)
    except ObjectNotFound:
        return None


def _schedules(job: Job) -> list[DeploymentScheduleCreate]:
    from prefect.client.schemas.actions import DeploymentScheduleCreate
    from prefect.client.schemas.schedules import CronSchedule, IntervalSchedule

    def prefects(times: Cron | Every) -> CronSchedule | IntervalSchedule:
        if isinstance(times, Cron):
            return CronSchedule(cron=times.expression, timezone=job.schedule.time_zone)
        return IntervalSchedule(
            interval=timedelta(seconds=times.seconds), anchor_date=times.anchor, timezone=job.schedule.time_zone
        )

    return [
        DeploymentScheduleCreate(schedule=prefects(times), active=True, slug=f"{number:02}")
        for number, times in enumerate(start_times(job.schedule))
    ]


def _in_words(schedule: Any) -> str:
    cron = getattr(schedule, "cron", None)
    if cron is not None:
        return f"{cron} ({schedule.timezone})"
    interval = getattr(schedule, "interval", None)
    return f"every {interval}" if interval is not None else "at times of its own"
