"""Revoking, holding and releasing; many at once by two people."""
