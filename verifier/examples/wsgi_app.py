"""Any WSGI application behind nginx, which ends TLS and sends the client certificate."""

from pathlib import Path

from onecert.verifier import open_verifier
from onecert.verifier.web import ClientCertificates
from onecert.verifier.web.wsgi import CertificateMiddleware

LIST = Path("pki/address").read_text().strip()  # http address of the signed trust list


def hello(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain; charset=utf-8")])
    return [environ["onecert.identity"].id.encode()]


application = CertificateMiddleware(
    hello,
    open_verifier(Path("pki"), trust_list=LIST, application="tax"),
    certificates=ClientCertificates(header="Client-Cert"),
)
