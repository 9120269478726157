"""Amazon S3 and everything that speaks like it."""
