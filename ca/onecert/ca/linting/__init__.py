"""Certificates, lists and requests of anybody, read against the standards or a profile of ours."""
