"""Pages of the supervision, one module for each feature: thin views over the acts, rendered on the server."""
