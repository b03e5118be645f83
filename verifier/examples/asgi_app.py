"""Any ASGI application behind nginx, which ends TLS and sends the client certificate."""

from pathlib import Path

from onecert.verifier import open_verifier
from onecert.verifier.web import ClientCertificates
from onecert.verifier.web.asgi import CertificateMiddleware

LIST = Path("pki/address").read_text().strip()  # http address of the signed trust list


async def hello(scope, receive, send):
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": scope["onecert.identity"].id.encode()})


application = CertificateMiddleware(
    hello,
    open_verifier(Path("pki"), trust_list=LIST, application="tax"),
    certificates=ClientCertificates(header="Client-Cert"),
)
