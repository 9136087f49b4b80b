"""Tests of the HTTP client: requests, retries, imports, and that it equals the embedded handle."""
