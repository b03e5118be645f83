"""Changes of a certificate's status: revoke, hold, release."""
