"""Pages of the registration authority: thin views over the acts, rendered on the server."""
