"""Imports every module that registers commands."""

from flows.cli import connect, demo, jobs, plans, servers

__all__ = ["connect", "demo", "jobs", "plans", "servers"]
