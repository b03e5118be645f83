"""Certificates that were issued on our orders, on record here and as the world sees them."""
