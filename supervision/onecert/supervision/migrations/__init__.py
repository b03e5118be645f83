"""Migrations of the supervision's tables; the server's runner runs them."""
