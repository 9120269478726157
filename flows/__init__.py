"""The runs a person or a schedule starts: Prefect flows and the `sitehaul` command line."""
