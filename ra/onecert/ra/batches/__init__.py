"""Many applications at once."""
