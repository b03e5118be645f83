"""Retention: what ended long ago is exported with proof, checked offline, and removed by two officers."""
