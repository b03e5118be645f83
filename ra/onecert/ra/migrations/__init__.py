"""Migrations of the registration authority's tables; the server's runner runs them."""
