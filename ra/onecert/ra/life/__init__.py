"""The life of every business type: one state machine, and which duties are kept apart."""
