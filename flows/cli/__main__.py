"""`python -m flows.cli`, the same as `sitehaul`."""

from flows.cli import main

main()
