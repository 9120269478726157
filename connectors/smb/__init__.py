"""Windows and NAS file shares, spoken to by SMB 2 and 3 without a mount."""
