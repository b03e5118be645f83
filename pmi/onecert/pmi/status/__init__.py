"""Status of attribute certificates: revocation lists, and where they are published."""
