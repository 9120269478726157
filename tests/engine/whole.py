"""A whole run of the engine: analyze, plan, transfer, verify, without Prefect."""

from migration.actions import ActionKind, OutcomeWord
from migration.analysis import analyze, analyze_destination
from migration.baseline import write_baseline
from migration.contract import Destination
from migration.inventory import Inventory
from migration.ledger import Ledger
from migration.plans import Plan, write_plan
from migration.progress import Phase
from migration.reconciliation import Reconciliation, reconcile, write_reconciliation
from migration.runs import Run, begin
from migration.transfer import Transfer, load_batches
from migration.verification import Scope, Verification, verify
from migration.version_manifest import known_versions
from tests.engine.support import Bench


async def whole_run(bench: Bench, destination: Destination | None = None, scope: Scope = "this_run") -> Verification:
    """One run of the job from its beginning (or where it stopped) to its end, the baseline not written."""
    run = begin(bench.state, bench.job, bench.clock.now())
    async with bench.source as source, bench.connector() if destination is None else destination as opened:
        inventory = await analyze(
            source, bench.job.source.parts, run.paths.source_inventory,
            run_id=run.run_id, clock=bench.clock, progress=bench.told.append,
        )  # fmt: skip
        plan = await planned(bench, run, inventory, opened)
        run.reached(Phase.TRANSFER, bench.clock.now())
        async with Ledger.open(bench.state.ledger) as ledger:
            await transferred(bench, run, plan, inventory, opened, ledger)
            await ledger.export(run.run_id, run.paths.outcomes)
        found = await verify(
            run.paths, bench.job, plan, opened, scope=scope, clock=bench.clock, progress=bench.told.append
        )
    run.finished(bench.clock.now())
    return found


async def planned(bench: Bench, run: Run, inventory: Inventory, destination: Destination) -> Plan:
    """The run's plan; made only once."""
    if run.record.finished(Phase.PLAN):
        return Plan.load(run.paths)
    there = await analyze_destination(
        destination, bench.job.destination.parts, run.paths.destination_inventory,
        run_id=run.run_id, clock=bench.clock, progress=bench.told.append,
    )  # fmt: skip
    versions = await known_versions(bench.source, bench.job, destination.capabilities)
    plan = write_plan(
        run.paths, bench.job,
        source=inventory, destination=there, baseline=bench.state.baseline,
        source_capabilities=bench.source.capabilities, destination_capabilities=destination.capabilities,
        hourly_calls=None, now=bench.clock.now(), versions_at_source=versions,
    )  # fmt: skip
    run.finished_phase(Phase.PLAN, bench.clock.now())
    return plan


async def transferred(
    bench: Bench, run: Run, plan: Plan, inventory: Inventory, destination: Destination, ledger: Ledger
) -> None:
    """The plan carried out; what is retrying is tried once more."""
    async with Transfer(
        bench.source, destination, ledger, run, bench.job,
        clock=bench.clock, progress=bench.told.append, at=bench.at,
    ) as transfer:  # fmt: skip
        await transfer.make_folders(list(plan.actions((ActionKind.MAKE_FOLDER,))))
        for _ in range(2):
            for works in load_batches(plan, inventory, bench.job.performance.batch_files):
                await transfer.run_batch(works)
            if not (await ledger.counts(run.run_id)).get(OutcomeWord.RETRYING):
                break


async def accounted_run(bench: Bench, destination: Destination | None = None) -> tuple[Reconciliation, Verification]:
    """A whole run and its account, written down, with the baseline for the next one."""
    found = await whole_run(bench, destination)
    run = bench.state.runs()[-1]
    account = reconcile(run)
    write_reconciliation(run, account)
    write_baseline(bench.state, run, bench.job)
    return account, found
