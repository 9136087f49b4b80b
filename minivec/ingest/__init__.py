"""The way in: `pipeline.py` reads top to bottom, a line per step, a file per step."""
