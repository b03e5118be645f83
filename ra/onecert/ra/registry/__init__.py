"""The register of legal entities, as the counter asks it."""
