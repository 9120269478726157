"""Egnyte."""
