"""The verifier inside a web application: TLS client certificates and login by challenge.

``wsgi`` and ``asgi`` are middleware for any application of that kind and need nothing else; ``flask`` and
``django`` need that framework (``pip install onecert-verifier[flask]``). ``client_certificate`` reads the
certificate of a connection and says whose word counts for it; ``answers`` turns a refusal into a page.
"""

from onecert.verifier.web.client_certificate import ClientCertificates, PresentedCertificate

__all__ = ["ClientCertificates", "PresentedCertificate"]
