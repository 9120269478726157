"""A stand-in of Egnyte."""
