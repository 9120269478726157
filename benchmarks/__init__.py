"""Measurements and long proofs, each run by its own command (`make bench`, `make prove-kills`)."""
