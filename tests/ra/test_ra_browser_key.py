"""A key that a browser made: its file opens, its request is one like any other, and only where allowed."""

import base64
import re
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.kdf.pbkdf2 import PBKDF2HMAC
from cryptography.hazmat.primitives.padding import PKCS7
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)
from ra_browser import BASE
from ra_fakes import T, make_key

from onecert.ra.content.csr import load_request
from onecert.ra.errors import BrowserKeyRefusedError
from onecert.ra.keys.browser import assemble, load_browser_key, request_info, request_name
from onecert.ra.keys.origins import BROWSER, find_origin
from onecert.ra.life.machine import State
from onecert.verifier.attribute_certificate.encoding import tlv

only_sqlite = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
SCRIPT = Path(__file__).parents[2] / "ra/onecert/ra/static/browser-key.js"
NAME = request_name("李四", {"locality": "深圳市"})


def spki(key) -> bytes:
    return key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def sign(key, data: bytes) -> bytes:
    """As WebCrypto does: r and s in 64 octets, or PKCS#1."""
    if isinstance(key, rsa.RSAPrivateKey):
        return key.sign(data, padding.PKCS1v15(), hashes.SHA256())
    numbers = decode_dss_signature(key.sign(data, ec.ECDSA(hashes.SHA256())))
    return b"".join(number.to_bytes(32, "big") for number in numbers)


@pytest.mark.parametrize("kind", ["p-256", "rsa-2048"])
def test_the_key_files_template_is_what_openssl_opens(kind: str, tmp_path: Path) -> None:
    """The octets of the script, filled in as the browser does: `openssl pkey` reads the key."""
    script = SCRIPT.read_text(encoding="utf-8")
    before = bytes.fromhex(re.search(r'BEFORE_SALT = "([0-9a-f]+)"', script)[1])
    between = bytes.fromhex(re.search(r'PARAMETERS = "([0-9a-f]+)"', script)[1])
    iterations = int(re.search(r"ITERATIONS = (\d+)", script)[1])
    assert iterations >= 600_000
    key, password, salt, iv = make_key(kind), "correct horse 电池".encode(), bytes(range(16)), bytes(16)
    wrapping = PBKDF2HMAC(hashes.SHA256(), 32, salt, iterations).derive(password)
    padder = PKCS7(128).padder()
    plain = key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    encryptor = Cipher(algorithms.AES(wrapping), modes.CBC(iv)).encryptor()
    wrapped = encryptor.update(padder.update(plain) + padder.finalize()) + encryptor.finalize()
    der = tlv(0x30, before + salt + between + iv, tlv(0x04, wrapped))
    lines = base64.encodebytes(der).decode()
    pem = f"-----BEGIN ENCRYPTED PRIVATE KEY-----\n{lines}-----END ENCRYPTED PRIVATE KEY-----\n"
    file = tmp_path / "key.pem"
    file.write_text(pem)
    assert spki(load_pem_private_key(pem.encode(), password)) == spki(key)
    done = subprocess.run(
        [
            "openssl",
            "pkey",
            "-in",
            file,
            "-passin",
            f"pass:{password.decode()}",
            "-pubout",
            "-outform",
            "DER",
        ],
        capture_output=True,
        check=True,
    )
    assert done.stdout == spki(key)


def test_the_script_keeps_nothing_and_sends_no_private_key() -> None:
    """No storage of the browser is touched, and the private key leaves WebCrypto wrapped only."""
    script = SCRIPT.read_text(encoding="utf-8")
    for word in ("localStorage", "sessionStorage", "indexedDB", "document.cookie", "innerHTML", "eval("):
        assert word not in script
    assert 'exportKey("pkcs8"' not in script
    assert script.count("exportKey(") == 1
    assert 'exportKey("spki"' in script


@pytest.mark.parametrize("kind", ["p-256", "rsa-2048"])
def test_what_the_browser_signs_becomes_a_request_that_everybody_reads(kind: str) -> None:
    """Info with the key inside, signature, request: the form's own check and openssl take it."""
    key = make_key(kind)
    public = load_browser_key(spki(key))
    info = request_info(public, NAME)
    assert info.count(spki(key)) == 1
    csr = assemble(public, info, sign(key, info))
    assert load_request(csr).key_sha256
    assert x509.load_der_x509_csr(csr).subject == NAME
    done = subprocess.run(
        ["openssl", "req", "-inform", "DER", "-verify", "-noout"], input=csr, capture_output=True, check=True
    )
    assert b"verify OK" in done.stdout + done.stderr


@pytest.mark.parametrize(
    "octets",
    [
        b"",
        b"\x30\x00",
        bytes(2000),
        spki(ec.generate_private_key(ec.SECP384R1())),
        spki(make_key("p-256")) + b"\0",
        spki(rsa.generate_private_key(public_exponent=3, key_size=1024)),
    ],
    ids=("empty", "no key", "zeros", "P-384", "one octet more", "RSA-1024"),
)
def test_other_keys_are_refused(octets: bytes) -> None:
    """Not a key, another curve, trailing octets, a short key: refused with our own error."""
    with pytest.raises(BrowserKeyRefusedError):
        load_browser_key(octets)


@pytest.fixture
def allowed(ra, monkeypatch):
    """A registration authority whose policy takes keys from browsers for citizens."""
    monkeypatch.setattr(ra.service.delivery, "_browser_keys", frozenset({"citizen"}))
    return ra


def post(visitor, path: str, **body):
    return visitor.client.post(
        path, base_url=BASE, json=body, headers={"X-CSRF-Token": visitor.token, "Accept": "application/json"}
    )


@only_sqlite
def test_from_the_code_to_the_reviewed_request(allowed) -> None:
    """The applicant opens the page, the browser signs, the draft has the key, the record says where from."""
    ra = allowed
    draft = ra.create(ra.entry("citizen", csr=""))
    given = ra.service.delivery.give_key_code(ra.entry_clerk, draft.id)
    visitor, who = ra.browser(None), {"number": draft.number, "code": given.code}
    visitor.get(f"/key/{draft.number}")
    visitor.post("/key", who)
    assert "李四" in visitor.text
    key = make_key()
    public = base64.b64encode(spki(key)).decode()
    info = base64.b64decode(post(visitor, "/key/draft", **who, spki=public).json["info"])
    signature = base64.b64encode(sign(key, info)).decode()
    for wrong in (
        {"spki": base64.b64encode(spki(make_key())).decode()},
        {"signature": base64.b64encode(bytes(64)).decode()},
        {"signature": "AAAA"},
        {"signature": 7},
        {"code": "2222222222"},
    ):
        refused = post(visitor, "/key/request", **{**who, "spki": public, "signature": signature, **wrong})
        assert refused.status_code in {403, 422}, wrong
    assert ra.load(draft.id).key_sha256 is None
    for _again in range(2):
        done = post(visitor, "/key/request", **who, spki=public, signature=signature)
        assert done.status_code == 200
    assert ra.events(draft.id).count("key_from_browser") == 1
    with ra.database.reading() as connection:
        assert find_origin(connection, draft.id, ra.load(draft.id).key_sha256).origin == BROWSER
    submitted = ra.applications.submit(ra.entry_clerk, draft.id)
    assert submitted.state is State.SUBMITTED
    visitor.post("/key", who)
    assert "cannot be changed any more" in visitor.text


@only_sqlite
def test_only_where_the_policy_says_low_assurance(ra) -> None:
    """By default for no type: no code is given, and one of before opens nothing."""
    draft = ra.create(ra.entry("citizen", csr=""))
    with pytest.raises(BrowserKeyRefusedError):
        ra.service.delivery.give_key_code(ra.entry_clerk, draft.id)
    assert ra.service.config.browser_keys == ()
    assert replace(ra.service.config, browser_keys=("citizen",)).browser_keys == ("citizen",)


@only_sqlite
def test_the_preview_says_what_is_inside_and_repeats_no_private_key(ra) -> None:
    """PEM, DER and PKCS#10 in one line of base64; a key used elsewhere; a private key pasted by mistake."""
    clerk, key = ra.browser(ra.entry_clerk), make_key()
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "applicant")])
    csr = x509.CertificateSigningRequestBuilder().subject_name(name).sign(key, hashes.SHA256())
    pem, der = csr.public_bytes(Encoding.PEM).decode(), csr.public_bytes(Encoding.DER)
    clerk.get("/applications/new/pearl/organisation")
    fields = {"organization_name": "深圳市示例科技有限公司", "locality": "深圳市"}
    for form in (pem, base64.b64encode(der).decode()):
        page = clerk.client.post(
            "/csr/preview", base_url=BASE, data={**fields, "csr": form, "csrf_token": clerk.token}
        ).get_data(as_text=True)
        assert "P-256" in page
        assert "CN=深圳市示例科技有限公司" in page
    ra.submit(ra.entry(authority="summit", csr=pem))
    ask = {"csr": pem, "csrf_token": clerk.token}
    page = clerk.client.post("/csr/preview", base_url=BASE, data=ask).get_data(as_text=True)
    assert f"{T:%Y%m%d}-000001" in page
    secret = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    bare = base64.b64encode(key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())).decode()
    for pasted in (secret, pem + secret, bare):
        page = clerk.client.post(
            "/csr/preview", base_url=BASE, data={"csr": pasted, "csrf_token": clerk.token}
        ).get_data(as_text=True)
        assert "private key" in page.lower() or "密钥" in page or "私钥" in page
        assert secret.splitlines()[1] not in page
        assert bare[:40] not in page
