"""Applications: their states, what people do to them, what is on record."""
