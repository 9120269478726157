"""Procore: OAuth, the documents index, downloads and their errors."""
