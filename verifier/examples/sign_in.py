"""Signs in as a browser with a USB key would: python sign_in.py https://127.0.0.1:5000 me.crt me.key

With the server's certificate as a fourth word it signs only what that server has signed (mutual login).
"""

import base64
import json
import secrets
import ssl
import sys
from datetime import UTC, datetime
from http.cookiejar import CookieJar
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import HTTPCookieProcessor, HTTPSHandler, Request, build_opener

from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, SECP384R1
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.hashes import SHA256, SHA384
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from onecert.verifier import VerifyError, verify_server_challenge

site, certificate, key_file, *server = sys.argv[1:]
key = load_pem_private_key(Path(key_file).read_bytes(), password=None)
trial = ssl.create_default_context()
trial.check_hostname, trial.verify_mode = False, ssl.CERT_NONE  # for a trial on this machine only
browser = build_opener(HTTPCookieProcessor(CookieJar()), HTTPSHandler(context=trial))


def post(path, body):
    headers = {"Content-Type": "application/json", "Accept": "application/json"}
    request = Request(site + path, json.dumps(body).encode(), headers)  # noqa: S310  your own address
    with browser.open(request) as answer:
        return json.load(answer)


try:
    nonce = secrets.token_bytes(32)
    challenge = post("/login/challenge", {"client": base64.b64encode(nonce).decode()})
    data = base64.b64decode(challenge["data"])
    if server:
        pinned, now = Path(server[0]).read_bytes(), datetime.now(UTC)
        verify_server_challenge(challenge, trust=pinned, application="tax", client=nonce, at=now)
    if isinstance(key, RSAPrivateKey):
        signature = key.sign(data, PKCS1v15(), SHA256())
    else:
        signature = key.sign(data, ECDSA(SHA384() if isinstance(key.curve, SECP384R1) else SHA256()))
    signed = {"certificate": Path(certificate).read_text(), "signature": base64.b64encode(signature).decode()}
    print(post("/login/answer", {**signed, "challenge": challenge["id"]}))
    print(browser.open(site + "/").read().decode())
except HTTPError as refused:
    sys.exit(refused.read().decode())
except VerifyError as not_the_server:
    sys.exit(str(not_the_server))
