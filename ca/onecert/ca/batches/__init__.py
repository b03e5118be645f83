"""Batches: up to 100,000 orders under one signature, filled chunk by chunk."""
