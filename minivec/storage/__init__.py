"""The truth: objects, vectors and the change log in one SQL transaction."""
