"""Signed orders: their documents, their way to the CA, and its answers."""
