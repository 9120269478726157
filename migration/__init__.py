"""The engine: what a migration is, decides and records. No Prefect, no network library, no named system."""
