"""Imports every module that registers commands."""

from flows.cli import connect, demo, flagged, jobs, plans, servers

__all__ = ["connect", "demo", "flagged", "jobs", "plans", "servers"]
