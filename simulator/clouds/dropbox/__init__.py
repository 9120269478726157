"""A stand-in of Dropbox."""
