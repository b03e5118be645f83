"""Business without an application of its own: what clerks ask for about a certificate that exists."""
