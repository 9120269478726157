"""Imports every module that registers commands."""

from flows.cli import (
    company,
    connect,
    demo,
    explain,
    flagged,
    job_files,
    job_resets,
    jobs,
    plans,
    schedule,
    servers,
    undo,
)

__all__ = [
    "company",
    "connect",
    "demo",
    "explain",
    "flagged",
    "job_files",
    "job_resets",
    "jobs",
    "plans",
    "schedule",
    "servers",
    "undo",
]
