"""Google Drive: a person's My Drive or a shared drive."""
