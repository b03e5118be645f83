"""Notices by mail: what is told to whom, once each, and what could not be sent."""
