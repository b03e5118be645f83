"""Certificates found by anything that is known of them, and the life line of each."""
