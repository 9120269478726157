"""Imports every module that registers commands."""

from flows.cli import connect, demo, explain, flagged, job_files, job_resets, jobs, plans, schedule, servers

__all__ = ["connect", "demo", "explain", "flagged", "job_files", "job_resets", "jobs", "plans", "schedule", "servers"]
