"""Imports every module that registers commands."""

from flows.cli import connect, demo, flagged, job_files, job_resets, jobs, plans, servers

__all__ = ["connect", "demo", "flagged", "job_files", "job_resets", "jobs", "plans", "servers"]
