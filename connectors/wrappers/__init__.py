"""Connectors around connectors: what an operator wants of a connection whatever system it leads to."""
