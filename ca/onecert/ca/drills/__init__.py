"""Drills: what a revocation takes until verifiers refuse, measured and rehearsed."""
