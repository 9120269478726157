"""The steps of a run as Prefect tasks: retries, concurrency, batching, artifacts; nothing else."""
