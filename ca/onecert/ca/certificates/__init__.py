"""One certificate: request, key, names and numbers checked, drafted from a profile, linted."""
