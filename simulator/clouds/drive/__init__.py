"""A stand-in of Google Drive."""
