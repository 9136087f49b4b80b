"""Long work over a whole collection or database."""
