"""The HTTP client: requests are built and read without I/O; only sending has a sync and an async form."""
