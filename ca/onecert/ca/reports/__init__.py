"""What the supervision is told about issued certificates."""
