"""A stand-in of Box."""
