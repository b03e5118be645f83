"""CRLs: loading, looking up, freshness, signature, and the same question through a path's status check."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from functools import cache

from cryptography import x509

from fuzz.material import T, hierarchy, key
from fuzz.rules import answer, check_json, check_texts, passes, require
from onecert.verifier import (
    MalformedError,
    RevocationEvidence,
    RevocationPolicy,
    TrustAnchor,
    load_crl,
    validate_path,
)
from onecert.verifier.certificate import parse_certificate
from onecert.verifier.names import canonical_name
from onecert.verifier.path.strict import check_crl_profile
from onecert.verifier.purposes import ANY
from onecert.verifier.revocation.crl import Crl
from onecert.verifier.revocation.crl_scope import full_scope_matches

IS_DER = True

_UNREVOCABLE = RevocationPolicy(ca_mode="off")  # type: ignore[arg-type]  # a StrEnum
_SERIALS = (0, 1, -1, 0x77, 0x78, 0x5001, 0x1006, 1 << 159, 1 << 4000)


def seeds() -> Iterable[bytes]:
    """All lists of the hierarchy."""
    return hierarchy().lists


def run(data: bytes) -> None:
    """Load, ask, and let a path rely on it."""
    pieces = hierarchy()
    crl = answer(lambda: load_crl(data))
    if crl is None:
        return
    if data[:1] == b"\x30":
        require(crl.der == data, "the octets are not those that were loaded")
    _compare(crl)
    check_texts([crl.issuer_text, repr(crl)])
    issuers = {crl.issuer, canonical_name(pieces.ca_1.subject.public_bytes())}
    for serial in _SERIALS:
        for issuer in (None, *issuers):
            answer(crl.find, serial, issuer)
    for grace in (timedelta(0), timedelta(days=9)):
        answer(crl.check_fresh, T, grace=grace)
    answer(lambda: check_crl_profile(crl))
    for party in (pieces.ca_2, pieces.signer):
        public = key(party.number).public_key()
        if passes(crl.check_signature, public, at=T):
            tbs = x509.load_der_x509_crl(crl.der).tbs_certlist_bytes
            require(tbs in _genuine(), "a list that nobody signed has a good signature")
    for other in _others():
        answer(crl.check_not_older, other)
        answer(other.check_not_older, crl)
        full_scope_matches(crl, other)
    _rely(crl)


@cache
def _genuine() -> frozenset[bytes]:
    return frozenset(x509.load_der_x509_crl(each).tbs_certlist_bytes for each in hierarchy().lists)


@cache
def _others() -> list[Crl]:
    return [load_crl(each) for each in hierarchy().lists]


@cache
def _anchor() -> TrustAnchor:
    return TrustAnchor.from_certificate(hierarchy().ca_2.certificate)


def _compare(crl: Crl) -> None:
    """Another reader sees the same entries."""
    peer = x509.load_der_x509_crl(crl.der)
    require(len(crl) == len(peer), "two opinions on the number of entries")
    if crl.is_indirect or len(crl) > 64:
        return
    for entry in peer:
        try:
            found = crl.find(entry.serial_number)
        except MalformedError:
            continue  # a time that only one of the two reads
        require(found is not None, "an entry is not found")


def _rely(crl: Crl) -> None:
    pieces = hierarchy()
    evidence = RevocationEvidence(crls=[crl, pieces.plain_2])
    for party in (pieces.leaf, pieces.revoked):
        target = parse_certificate(party.der)
        path = answer(
            validate_path,
            target,
            anchors=[_anchor()],
            at=T,
            purpose=ANY,
            revocation=evidence,
            revocation_policy=_UNREVOCABLE,
        )
        if path is not None:
            check_json(path.as_dict())
            require(party is not pieces.revoked, "a revoked certificate is accepted")
