"""Local folders and mounted file shares."""
