"""Certification authorities: profiles, issuance, revocation, lists, OCSP. See ca/README.md.

What other members see of the CA is its REST API and its status service; what the server sees is `member`.
Nothing is imported here, so that reading one module does not load a web framework.
"""

__all__: list[str] = []
