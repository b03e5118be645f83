"""Tokens that holders' keys are made on: the stock of each point, the counter's program, what was written."""
