"""Measurements. Each run writes one JSON record into `records/`."""
