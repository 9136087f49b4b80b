"""The engine: texts in, vectors out; knows no database."""
