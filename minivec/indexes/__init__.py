"""The followers: they read the log, know how far they are, and may be deleted at any time."""
