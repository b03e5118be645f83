"""Acceptance points 受理点 and projects: where applications are accepted, and for which undertaking."""
