"""How good it was: pure arrays to rows."""
