"""What people read, made from the files of a run. Touches no system."""
