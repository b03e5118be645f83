"""Profiles: what a kind of certificate must look like, as signed, versioned data; the packaged ones."""
