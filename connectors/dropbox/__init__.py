"""Dropbox: a person's or a team's."""
