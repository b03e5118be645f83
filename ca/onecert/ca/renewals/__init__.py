"""Orders that follow a certificate, and what becomes of the old one."""
