"""SM2 certificates, lists, answers and requests, and what other implementations say about them."""

from __future__ import annotations

import base64
import subprocess
from pathlib import Path
from typing import Any

import pytest
from ca_algorithms import (
    authority_der,
    hold,
    issue,
    list_der,
    ocsp_request,
    request_of,
    spki_of,
    validate,
)
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.ocsp import load_der_ocsp_response
from OpenSSL import crypto
from test_ca_ocsp import post, revoke

from onecert.ca.authorities.authorities import pem
from onecert.ca.errors import RequestSignatureError, RequestSm2IdError

DER = Encoding.DER


# ------------------------------------------------------------------ other implementations


def run(folder: Path, command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["openssl", *command.split()], cwd=folder, check=False, capture_output=True, text=True
    )


DISTID = "-vfyopt distid:1234567812345678"


@pytest.fixture
def sm2(empty_world: Any, tmp_path: Path) -> tuple[Any, Any, Path]:
    """An SM2 authority with one SM2 holder, all as PEM files: root, ca, leaf, root-crl, crl."""
    world = hold(empty_world, "sm2")
    record = issue(world, request_of("sm2")[1])
    root, ca = authority_der(world, "capital-root"), authority_der(world, "capital")
    for name, content in (("root", root), ("ca", ca), ("leaf", record.certificate_der)):
        (tmp_path / f"{name}.pem").write_text(pem(content))
    for name, authority in (("root-crl", "capital-root"), ("crl", "capital")):
        write_list(world, authority, tmp_path / f"{name}.pem")
    return world, record, tmp_path


def write_list(world: Any, authority: str, path: Path) -> None:
    crl = x509.load_der_x509_crl(list_der(world, authority))
    path.write_bytes(crl.public_bytes(Encoding.PEM))


def test_the_openssl_command_verifies_the_chain(sm2: Any) -> None:
    """Link by link: openssl 3.0 gives the identifier to the certificate that is named alone."""
    world, _record, folder = sm2
    verify = f"verify {DISTID} -attime {int(world.clock.now().timestamp())} -partial_chain -trusted"
    for issuer, name in (("root", "ca"), ("ca", "leaf")):
        good = run(folder, f"{verify} {issuer}.pem {name}.pem")
        assert (good.returncode, good.stdout.strip()) == (0, f"{name}.pem: OK"), good.stderr
    verify = f"{verify} ca.pem leaf.pem"
    assert "signature failure" in run(folder, verify.replace(DISTID, "")).stderr
    text = run(folder, "x509 -in leaf.pem -noout -text").stdout
    assert text.count("Signature Algorithm: SM2-with-SM3") == 2
    assert "ASN1 OID: SM2" in text

    # Altered: the last octet of the signature.
    encoded = bytearray(x509.load_pem_x509_certificate((folder / "leaf.pem").read_bytes()).public_bytes(DER))
    encoded[-1] ^= 1
    (folder / "leaf.pem").write_text(pem(bytes(encoded)))
    assert "signature failure" in run(folder, verify).stderr


def test_the_openssl_command_verifies_list_and_answer(sm2: Any) -> None:
    """openssl 3.0 gives `crl` and `ocsp` no identifier: it reads both, and `dgst` checks them."""
    world, record, folder = sm2
    text = run(folder, "crl -in crl.pem -noout -text").stdout
    assert text.count("Signature Algorithm: SM2-with-SM3") == 2
    (folder / "answer.der").write_bytes(
        post(world.service.status, ocsp_request(world, record.serial), "capital")[2]
    )
    text = run(folder, "ocsp -respin answer.der -noverify -resp_text").stdout
    assert "Signature Algorithm: SM2-with-SM3" in text
    assert "Cert Status: good" in text

    crl = x509.load_der_x509_crl(list_der(world, "capital"))
    answer = load_der_ocsp_response((folder / "answer.der").read_bytes())
    (responder,) = answer.certificates
    (folder / "responder.pem").write_bytes(responder.public_bytes(Encoding.PEM))
    for signer, data, signature in (
        ("ca", crl.tbs_certlist_bytes, crl.signature),
        ("responder", answer.tbs_response_bytes, answer.signature),
    ):
        (folder / "key.pem").write_text(run(folder, f"x509 -in {signer}.pem -noout -pubkey").stdout)
        (folder / "data").write_bytes(data)
        (folder / "signature").write_bytes(signature)
        command = "dgst -sm3 -sigopt distid:1234567812345678 -verify key.pem -signature signature data"
        assert run(folder, command).stdout.strip() == "Verified OK"


def test_pyopenssl_verifies_chain_and_lists(sm2: Any) -> None:
    """The OpenSSL 4 of `cryptography`'s wheel: another library, whose default is the usual identifier."""
    world, record, folder = sm2
    assert _pyopenssl(world, folder) is None
    revoke(world, record.serial, authority="capital")
    write_list(world, "capital", folder / "crl.pem")
    assert "revoked" in str(_pyopenssl(world, folder))


def _pyopenssl(world: Any, folder: Path) -> Exception | None:
    store = crypto.X509Store()
    store.add_cert(_load(folder / "root.pem"))
    store.set_flags(crypto.X509StoreFlags.CRL_CHECK | crypto.X509StoreFlags.CRL_CHECK_ALL)
    store.set_time(world.clock.now().replace(tzinfo=None))
    for name in ("root-crl", "crl"):
        store.add_crl(x509.load_pem_x509_crl((folder / f"{name}.pem").read_bytes()))
    context = crypto.X509StoreContext(store, _load(folder / "leaf.pem"), chain=[_load(folder / "ca.pem")])
    try:
        context.verify_certificate()
    except crypto.X509StoreContextError as exc:
        return exc
    return None


def _load(path: Path) -> crypto.X509:
    return crypto.load_certificate(crypto.FILETYPE_PEM, path.read_bytes())


# ------------------------------------------------------------------ requests


def test_a_request_by_the_openssl_command_with_the_usual_identifier(empty_world: Any, tmp_path: Path) -> None:
    world = hold(empty_world, "sm2")
    _openssl_request(tmp_path, "-sigopt distid:1234567812345678")
    record = issue(world, (tmp_path / "request.pem").read_text())
    validate(world, record.certificate_der)


def test_a_request_with_an_empty_identifier_is_told_so(empty_world: Any, tmp_path: Path) -> None:
    """What openssl 3.0 makes when it is told no identifier."""
    world = hold(empty_world, "sm2")
    _openssl_request(tmp_path, "")
    with pytest.raises(RequestSm2IdError) as caught:
        issue(world, (tmp_path / "request.pem").read_text())
    assert caught.value.code == "CSR_SM2_ID"
    assert "distid:1234567812345678" in str(caught.value.hint)


def _openssl_request(folder: Path, options: str) -> None:
    made = run(folder, "genpkey -algorithm EC -pkeyopt ec_paramgen_curve:SM2 -out key.pem")
    assert made.returncode == 0, made.stderr
    made = run(folder, f"req -new -key key.pem -sm3 -subj /CN=x -out request.pem {options}")
    assert made.returncode == 0, made.stderr


@pytest.mark.parametrize("identifier", [b"ALICE123@YAHOO.COM", b"12345678"])
def test_a_request_with_another_identifier_is_refused(empty_world: Any, identifier: bytes) -> None:
    world = hold(empty_world, "sm2")
    with pytest.raises(RequestSignatureError):
        issue(world, request_of("sm2", identifier=identifier)[1])


def test_a_request_signed_with_another_key_or_algorithm_is_refused(empty_world: Any) -> None:
    world = hold(empty_world, "sm2")
    one, csr = request_of("sm2")
    other, _csr = request_of("sm2")
    body = base64.b64decode("".join(csr.splitlines()[1:-1]))
    swapped = body.replace(spki_of(one), spki_of(other))
    # An algorithm identifier of ECDSA has the same length as that of SM2 but for its last octets.
    ecdsa = body.replace(bytes.fromhex("06082a811ccf55018375"), bytes.fromhex("06082a8648ce3d040302"))
    for altered in (swapped, ecdsa):
        text = base64.encodebytes(altered).decode()
        wrapped = f"-----BEGIN CERTIFICATE REQUEST-----\n{text}-----END CERTIFICATE REQUEST-----\n"
        with pytest.raises(RequestSignatureError):
            issue(world, wrapped)
