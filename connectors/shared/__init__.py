"""What connectors have in common: nothing here knows a concrete system."""
