"""Issuing: orders, the order of acts, the record of what is signed, and what follows an interruption."""
