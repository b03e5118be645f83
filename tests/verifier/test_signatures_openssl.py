"""Each algorithm against the openssl command and OpenSSL 4: what they make is verified here, and vice versa.

root -> leaf, a CRL and an OCSP answer of the root, and data signed with the leaf's key.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, mldsa, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from OpenSSL import crypto

from onecert.verifier import (
    RefusedError,
    RevocationEvidence,
    SignatureInvalidError,
    TrustAnchor,
    VerifyError,
    validate_path,
)
from onecert.verifier.certificate import parse_certificate
from onecert.verifier.path import PathParameters
from onecert.verifier.purposes import ANY
from onecert.verifier.revocation import RevocationMode, RevocationPolicy, load_crl
from onecert.verifier.signatures import load_public_key, parse_algorithm, verify_signature

PSS = ("-sigopt", "rsa_padding_mode:pss")
DIGEST_SALT = (*PSS, "-sigopt", "rsa_pss_saltlen:digest")
# our name: how the command makes a key; digest; further options of every signature
KINDS: dict[str, tuple[tuple[str, ...], str, tuple[str, ...]]] = {
    "rsa-sha256": (("RSA", "rsa_keygen_bits:2048"), "sha256", ()),
    "rsa-sha512": (("RSA", "rsa_keygen_bits:2048"), "sha512", ()),
    "rsa-pss-sha256": (("RSA", "rsa_keygen_bits:2048"), "sha256", DIGEST_SALT),
    "rsa-pss-sha384": (("RSA", "rsa_keygen_bits:2048"), "sha384", PSS),  # salt as long as possible
    "ecdsa-sha256": (("EC", "ec_paramgen_curve:P-256"), "sha256", ()),
    "ecdsa-sha384": (("EC", "ec_paramgen_curve:P-384"), "sha384", ()),
    "ecdsa-sha512": (("EC", "ec_paramgen_curve:P-521"), "sha512", ()),
    "ed25519": (("ED25519",), "", ()),
    "ed448": (("ED448",), "", ()),
    "sm2-sm3": (("EC", "ec_paramgen_curve:SM2"), "sm3", ("-sigopt", "distid:1234567812345678")),
}
CONFIG = """
[ca]
default_ca = own
[own]
database = index
new_certs_dir = .
serial = serial
crlnumber = number
certificate = root.pem
private_key = root.key
default_md = {digest}
policy = any
default_crl_days = 30
[any]
commonName = supplied
[req]
distinguished_name = any
prompt = no
[root]
basicConstraints = critical, CA:TRUE
keyUsage = critical, keyCertSign, cRLSign, digitalSignature
subjectKeyIdentifier = hash
[leaf]
basicConstraints = critical, CA:FALSE
keyUsage = critical, digitalSignature
authorityKeyIdentifier = keyid
"""


@dataclass
class Made:
    """DER of what the command made for one algorithm."""

    root: bytes
    leaf: bytes
    crl: bytes
    ocsp: bytes
    signature: bytes

    @property
    def at(self) -> datetime:
        """A moment at which all of it is good: the command reads the clock."""
        return parse_certificate(self.leaf).not_before + timedelta(hours=1)

    def validate(self, **changes: Any) -> None:
        inputs = {"leaf": self.leaf, "crls": [], "ocsp": [], **changes}
        mode = RevocationMode.REQUIRE if inputs["crls"] or inputs["ocsp"] else RevocationMode.OFF
        validate_path(
            inputs["leaf"],
            anchors=[TrustAnchor.from_certificate(self.root)],
            at=self.at,
            parameters=PathParameters(purpose=ANY, revocation=RevocationPolicy(mode=mode)),
            revocation=RevocationEvidence(crls=inputs["crls"], ocsp=inputs["ocsp"]),
        )


DATA = b"what was signed"


def make(openssl: Any, folder: Path, name: str) -> Made:
    key, digest, options = KINDS[name]
    (folder / "config").write_text(CONFIG.format(digest=digest or "default"))
    (folder / "index").touch()
    for file in ("serial", "number"):
        (folder / file).write_text("1001\n")
    (folder / "data").write_bytes(DATA)
    hashed = (f"-{digest}",) if digest else ()
    generate = ("genpkey", "-algorithm", key[0], *(("-pkeyopt", key[1]) if key[1:] else ()))
    for party in ("root", "leaf"):
        openssl(*generate, "-out", f"{party}.key", cwd=folder)
    openssl(
        *(
            "req",
            "-x509",
            "-new",
            "-config",
            "config",
            "-key",
            "root.key",
            "-subj",
            "/CN=Root",
            *hashed,
            *options,
        ),
        *("-extensions", "root", "-days", "30", "-out", "root.pem"),
        cwd=folder,
    )
    openssl(
        *("req", "-new", "-config", "config", "-key", "leaf.key", "-subj", "/CN=Clerk", *hashed),
        *("-out", "leaf.csr"),
        cwd=folder,
    )
    openssl(
        *(
            "ca",
            "-batch",
            "-notext",
            "-config",
            "config",
            "-in",
            "leaf.csr",
            "-extensions",
            "leaf",
            "-days",
            "30",
        ),
        *(*options, "-out", "leaf.pem"),
        cwd=folder,
    )
    openssl("ca", "-gencrl", "-config", "config", *options, "-out", "crl.pem", cwd=folder)
    rsigned = tuple("-rsigopt" if option == "-sigopt" else option for option in options)
    openssl(
        *("ocsp", "-index", "index", "-CA", "root.pem", "-rsigner", "root.pem", "-rkey", "root.key"),
        *(
            "-issuer",
            "root.pem",
            "-cert",
            "leaf.pem",
            "-ndays",
            "1",
            "-resp_no_certs",
            "-respout",
            "ocsp.der",
        ),
        *(("-rmd", digest) if digest else ()),
        *rsigned,
        cwd=folder,
    )
    padded = tuple("-pkeyopt" if option == "-sigopt" else option for option in options)
    openssl(
        *("pkeyutl", "-sign", "-inkey", "leaf.key", "-rawin", "-in", "data", "-out", "signature"),
        *(("-digest", digest) if digest else ()),
        *padded,
        cwd=folder,
    )
    root, leaf = (
        x509.load_pem_x509_certificate((folder / f"{party}.pem").read_bytes()).public_bytes(Encoding.DER)
        for party in ("root", "leaf")
    )
    crl = x509.load_pem_x509_crl((folder / "crl.pem").read_bytes()).public_bytes(Encoding.DER)
    return Made(root, leaf, crl, (folder / "ocsp.der").read_bytes(), (folder / "signature").read_bytes())


def altered(data: bytes, at: int) -> bytes:
    position = at % len(data)
    return data[:position] + bytes((data[position] ^ 1,)) + data[position + 1 :]


@pytest.mark.parametrize("name", KINDS)
def test_what_the_command_makes(sm2_tools: Any, tmp_path: Path, name: str) -> None:
    made = make(sm2_tools.openssl, tmp_path, name)
    leaf = parse_certificate(made.leaf)
    assert parse_algorithm(leaf.algorithm_der).name == name
    made.validate()
    made.validate(crls=[made.crl])
    made.validate(ocsp=[made.ocsp])
    key = load_public_key(leaf.spki_der)
    algorithm = leaf.algorithm_der if "pss" in name else name
    verify_signature(key, algorithm, made.signature, DATA)

    # One bit of the signature, of the signed bytes, of the key that is asked.
    inside = made.leaf.index(b"Clerk")
    for wrong in (altered(made.leaf, -3), altered(made.leaf, inside)):
        with pytest.raises(SignatureInvalidError) as caught:
            made.validate(leaf=wrong)
        assert caught.value.code == "CERT_SIGNATURE_INVALID"
    for evidence in ({"crls": [altered(made.crl, -3)]}, {"ocsp": [altered(made.ocsp, -3)]}):
        with pytest.raises(VerifyError) as unknown:
            made.validate(**evidence)
        assert unknown.value.code == "REVOCATION_UNKNOWN"
    stranger = load_public_key(parse_certificate(made.root).spki_der)
    for public, signature, data in (
        (key, altered(made.signature, -3), DATA),
        (key, made.signature, DATA + b"."),
        (stranger, made.signature, DATA),
    ):
        with pytest.raises(SignatureInvalidError) as caught:
            verify_signature(public, algorithm, signature, data)
        assert caught.value.code == "SIGNATURE_INVALID"


PRIVATE_KEYS: dict[str, Any] = {
    "rsa-2048": lambda: rsa.generate_private_key(65537, 2048),
    "p-256": lambda: ec.generate_private_key(ec.SECP256R1()),
    "p-384": lambda: ec.generate_private_key(ec.SECP384R1()),
    "p-521": lambda: ec.generate_private_key(ec.SECP521R1()),
    "ed25519": ed25519.Ed25519PrivateKey.generate,
    "ed448": ed448.Ed448PrivateKey.generate,
    "ml-dsa-44": mldsa.MLDSA44PrivateKey.generate,
    "ml-dsa-65": mldsa.MLDSA65PrivateKey.generate,
    "ml-dsa-87": mldsa.MLDSA87PrivateKey.generate,
}


@pytest.mark.parametrize("kind", PRIVATE_KEYS)
def test_others_agree_about_what_we_accept(pki: Any, sm2_tools: Any, tmp_path: Path, kind: str) -> None:
    """Certificates and CRL by cryptography: pyOpenSSL and the command say about them what we say.

    The command of Debian 12 knows no ML-DSA; the OpenSSL 4 below pyOpenSSL does.
    """
    root_key, leaf_key = PRIVATE_KEYS[kind](), PRIVATE_KEYS[kind]()
    plain = None if kind.startswith(("ed", "ml")) else x509_digest(kind)
    root = issue(pki, "Root", root_key, None, plain)
    leaf = issue(pki, "Clerk", leaf_key, root, plain)
    crl, revoking = (
        sign_list(pki, root, serials, plain) for serials in ([], [leaf.certificate.serial_number])
    )

    def ours(leaf_der: bytes, crl_der: bytes) -> str:
        try:
            validate_path(
                leaf_der,
                anchors=[root.anchor],
                at=pki.T,
                parameters=PathParameters(purpose=ANY),
                revocation=RevocationEvidence(crls=[crl_der]),
            )
        except VerifyError as error:
            return error.code
        return "good"

    assert ours(leaf.der, crl) == "good"
    cases = {
        "CERT_REVOKED": (leaf.der, revoking),
        "CERT_SIGNATURE_INVALID": (altered(leaf.der, -3), crl),
        "REVOCATION_UNKNOWN": (leaf.der, altered(crl, -3)),
    }
    assert by_pyopenssl(pki, root, leaf.der, crl)
    for code, case in cases.items():
        assert ours(*case) == code
        assert not by_pyopenssl(pki, root, *case)
    if not kind.startswith("ml"):
        assert by_command(pki, sm2_tools.openssl, tmp_path, root, leaf.der, crl)
        for case in cases.values():
            assert not by_command(pki, sm2_tools.openssl, tmp_path, root, *case)


def x509_digest(kind: str) -> Any:
    return {"p-384": hashes.SHA384, "p-521": hashes.SHA512}.get(kind, hashes.SHA256)()


def issue(pki: Any, name: str, key: Any, issuer: Any, digest: Any) -> Any:
    """Built here, because the builder of the tests chooses the digest by itself."""
    ca = issuer is None
    usage = pki.usage("key_cert_sign", "crl_sign") if ca else pki.usage("digital_signature")
    builder = (
        x509.CertificateBuilder()
        .subject_name(pki.name(name))
        .issuer_name(pki.name(name) if ca else issuer.subject)
        .public_key(key.public_key())
        .serial_number(0x1234 + ca)
        .not_valid_before(pki.T - pki.DAY)
        .not_valid_after(pki.T + pki.DAY)
        .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )
    return pki.party(builder.sign(key if ca else issuer.key, digest), key)


def sign_list(pki: Any, issuer: Any, serials: list[int], digest: Any) -> bytes:
    builder = x509.CertificateRevocationListBuilder(
        issuer_name=issuer.subject,
        last_update=pki.T - pki.DAY,
        next_update=pki.T + pki.DAY,
        revoked_certificates=[
            x509.RevokedCertificateBuilder(serial, pki.T - pki.DAY).build() for serial in serials
        ],
    ).add_extension(x509.CRLNumber(7), critical=False)
    return builder.sign(issuer.key, digest).public_bytes(Encoding.DER)


def by_pyopenssl(pki: Any, root: Any, leaf: bytes, crl: bytes) -> bool:
    store = crypto.X509Store()
    store.add_cert(crypto.X509.from_cryptography(root.certificate))
    store.add_crl(x509.load_der_x509_crl(crl))
    store.set_flags(crypto.X509StoreFlags.CRL_CHECK)
    store.set_time(pki.T)
    try:
        crypto.X509StoreContext(
            store, crypto.load_certificate(crypto.FILETYPE_ASN1, leaf)
        ).verify_certificate()
    except crypto.X509StoreContextError:
        return False
    return True


def by_command(pki: Any, openssl: Any, folder: Path, root: Any, leaf: bytes, crl: bytes) -> bool:
    (folder / "root.pem").write_bytes(root.certificate.public_bytes(Encoding.PEM))
    (folder / "leaf.pem").write_bytes(x509.load_der_x509_certificate(leaf).public_bytes(Encoding.PEM))
    (folder / "crl.pem").write_bytes(x509.load_der_x509_crl(crl).public_bytes(Encoding.PEM))
    command = ("verify", "-attime", int(pki.T.timestamp()), "-CAfile", "root.pem", "-crl_check")
    return openssl(*command, "-CRLfile", "crl.pem", "leaf.pem", cwd=folder, fine=False).returncode == 0


def other_algorithm_outside(der: bytes) -> bytes:
    """ecdsa-with-SHA384 around what says ecdsa-with-SHA256."""
    sha256, sha384 = (bytes.fromhex(f"06082a8648ce3d04030{number}") for number in "23")
    start = der.rindex(sha256)
    return der[:start] + sha384 + der[start + len(sha256) :]


def test_inner_and_outer_algorithm_must_agree(pki: Any) -> None:
    """RFC 5280, sections 4.1.1.2 and 5.1.1.2."""
    root = pki.root()
    with pytest.raises(RefusedError) as caught:
        pki.validate(other_algorithm_outside(pki.leaf(root).der), root=root, crls=pki.crls(root))
    assert caught.value.code == "ALGORITHM_MISMATCH"
    with pytest.raises(RefusedError) as caught:
        load_crl(other_algorithm_outside(pki.crl(root)))
    assert caught.value.code == "NOT_DER"  # cryptography sees it first
