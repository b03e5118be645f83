"""The same chains judged by ``openssl verify``: a second opinion from another implementation.

Both must accept or both refuse. Where we are known to be stricter the case says so, with the reason.
"""

from __future__ import annotations

import ipaddress
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding

from onecert.verifier import PolicyInputs, VerifyError
from onecert.verifier.purposes import ANY

OPENSSL = shutil.which("openssl")
pytestmark = pytest.mark.skipif(OPENSSL is None, reason="needs the openssl command")


def openssl_accepts(
    folder: Path, root: Any, cas: list[Any], leaf: Any, crls: list[bytes], at: float, *options: str
) -> tuple[bool, str]:
    def write(name: str, parties: list[Any]) -> str:
        path = folder / name
        path.write_bytes(b"".join(party.certificate.public_bytes(Encoding.PEM) for party in parties))
        return str(path)

    command = ["openssl", "verify", "-attime", str(int(at)), "-CAfile", write("root.pem", [root]), *options]
    if cas:
        command += ["-untrusted", write("cas.pem", cas)]
    if crls:
        path = folder / "crls.pem"
        path.write_bytes(b"".join(x509.load_der_x509_crl(crl).public_bytes(Encoding.PEM) for crl in crls))
        command += ["-crl_check_all", "-CRLfile", str(path)]
    done = subprocess.run([*command, write("leaf.pem", [leaf])], capture_output=True, text=True, check=False)
    return done.returncode == 0, done.stdout + done.stderr


def tree(permitted: list[Any] | None = None, excluded: list[Any] | None = None) -> dict[str, Any]:
    return {"extra": [(x509.NameConstraints(permitted, excluded), True)]}


def alternative(*names: Any) -> dict[str, Any]:
    return {"extra": [(x509.SubjectAlternativeName(names), False)]}


UNKNOWN = {"extra": [(x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), b"\x05\x00"), True)]}
TEN = x509.IPAddress(ipaddress.ip_network("10.0.0.0/8"))

# name -> (changes to the CA, changes to the leaf)
CASES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "plain": ({}, {}),
    "ca without basic constraints": ({"without": [x509.BasicConstraints]}, {}),
    "ca is no ca": ({"ca": False}, {}),
    "ca may not sign certificates": ({"key_usage": ["crl_sign"]}, {}),
    "ca may not sign lists": ({"key_usage": ["key_cert_sign"]}, {}),
    "path length 0": ({"path_length": 0}, {}),
    "leaf unknown critical": ({}, UNKNOWN),
    "ca unknown critical": (UNKNOWN, {}),
    "leaf expired": ({}, {"not_after": -1}),
    "leaf not yet valid": ({}, {"not_before": 1}),
    "ca expired": ({"not_after": -1}, {}),
    "dns permitted": (tree([x509.DNSName("a.cn")]), alternative(x509.DNSName("x.a.cn"))),
    "dns not permitted": (tree([x509.DNSName("a.cn")]), alternative(x509.DNSName("x.b.cn"))),
    "dns excluded": (tree(None, [x509.DNSName("a.cn")]), alternative(x509.DNSName("a.cn"))),
    "mail permitted": (tree([x509.RFC822Name("a.cn")]), alternative(x509.RFC822Name("x@a.cn"))),
    "mail not permitted": (tree([x509.RFC822Name("a.cn")]), alternative(x509.RFC822Name("x@b.a.cn"))),
    "address permitted": (tree([TEN]), alternative(x509.IPAddress(ipaddress.ip_address("10.9.9.9")))),
    "address not permitted": (tree([TEN]), alternative(x509.IPAddress(ipaddress.ip_address("11.9.9.9")))),
    "uri not permitted": (
        tree([x509.UniformResourceIdentifier("a.cn")]),
        alternative(x509.UniformResourceIdentifier("https://b.cn/")),
    ),
    "ed25519": ({"key": ed25519.Ed25519PrivateKey.generate()}, {}),
    "rsa": ({"key": rsa.generate_private_key(65537, 2048)}, {"hash_algorithm": hashes.SHA512()}),
}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("revoked", [None, "leaf", "ca"])
def test_same_verdict(pki: Any, tmp_path: Path, case: str, revoked: str | None) -> None:
    """root -> CA -> leaf with one change, CRLs of both, nobody or one of them revoked."""

    def prepare(changes: dict[str, Any]) -> dict[str, Any]:
        made = dict(changes)
        for key in ("not_after", "not_before"):
            if key in made:
                made[key] = pki.T + made[key] * pki.DAY
        if "key_usage" in made:
            made["key_usage"] = pki.usage(*made["key_usage"])
        return made

    ca_changes, leaf_changes = (prepare(changes) for changes in CASES[case])
    root = pki.root()
    ca = pki.issue("Issuing CA", root, **({"ca": True} | ca_changes))
    leaf = pki.leaf(ca, **leaf_changes)
    if revoked:
        pki.revoke(*((ca, leaf) if revoked == "leaf" else (root, ca)))
    crls = pki.crls(root, ca)
    if case == "path length 0":
        sub = pki.ca(ca, "Sub CA")
        leaf, crls = pki.leaf(sub), [*crls, pki.crl(sub)]
        cas = [ca, sub]
    else:
        cas = [ca]

    theirs, report = openssl_accepts(tmp_path, root, cas, leaf, crls, pki.T.timestamp())
    try:
        pki.validate(leaf, root=root, cas=cas, crls=crls, purpose=ANY)
        ours, reason = True, ""
    except VerifyError as exc:
        ours, reason = False, str(exc)
    assert ours == theirs, f"{reason or 'accepted'} / {report}"


def test_policies_agree(pki: Any, tmp_path: Path) -> None:
    """explicit policy asked of openssl and of us, over all small combinations."""
    oids = ["1.2.3.1", "1.2.3.2", "2.5.29.32.0"]
    root = pki.root()
    for in_ca in ([oids[0]], [oids[2]], oids[:2]):
        for in_leaf in ([oids[0]], [oids[1]], [oids[2]]):
            ca = pki.ca(root, extra=[(policies(in_ca), False)])
            leaf = pki.leaf(ca, extra=[(policies(in_leaf), False)])
            theirs, report = openssl_accepts(
                tmp_path,
                root,
                [ca],
                leaf,
                pki.crls(root, ca),
                pki.T.timestamp(),
                "-explicit_policy",
                "-policy_check",
                "-policy",
                oids[0],
            )
            asked = PolicyInputs(initial=frozenset({oids[0]}), require_explicit=True)
            try:
                pki.validate(leaf, root=root, cas=[ca], crls=pki.crls(root, ca), policies=asked, purpose=ANY)
                ours = True
            except VerifyError:
                ours = False
            assert ours == theirs, f"{in_ca} {in_leaf}: {report}"


def policies(oids: list[str]) -> x509.CertificatePolicies:
    return x509.CertificatePolicies([x509.PolicyInformation(x509.ObjectIdentifier(o), None) for o in oids])
