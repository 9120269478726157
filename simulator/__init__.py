"""A Procore on loopback, faithful enough that independent Procore clients work against it."""
