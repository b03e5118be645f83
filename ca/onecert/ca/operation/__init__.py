"""Operating the CA: its figures, what a backup asks, and the record after a restore."""
