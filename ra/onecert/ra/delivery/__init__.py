"""How an applicant gets a key and a certificate: one-time codes, the public pages, the hand-over."""
