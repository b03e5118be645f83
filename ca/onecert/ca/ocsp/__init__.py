"""OCSP: requests and answers, responders, and answers that are signed ahead."""
