"""The repository of attribute certificates."""
