"""Keys on the registration authority's token, and personal data sealed under them."""
