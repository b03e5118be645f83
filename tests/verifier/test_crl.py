"""CRLs: loading, scope, signers, freshness, deltas."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from onecert.verifier import (
    CouldNotCheckError,
    Limits,
    MalformedError,
    PathValidator,
    RefusedError,
    RevocationEvidence,
    RevokedError,
    SignatureInvalidError,
    load_crl,
)
from onecert.verifier.der import slice_tlv
from onecert.verifier.names import canonical_name
from onecert.verifier.revocation import RevocationMode, RevocationPolicy

HOUR = timedelta(hours=1)
LEAF_ONLY = RevocationPolicy(ca_mode=RevocationMode.OFF)


def uri(text: str) -> list[x509.GeneralName]:
    return [x509.UniformResourceIdentifier(text)]


def point(text: str | None = None, **fields: Any) -> x509.CRLDistributionPoints:
    values = {
        "full_name": uri(text) if text else None,
        "relative_name": None,
        "reasons": None,
        "crl_issuer": None,
    }
    return x509.CRLDistributionPoints([x509.DistributionPoint(**(values | fields))])


def scope(text: str | None = None, **flags: Any) -> tuple[x509.IssuingDistributionPoint, bool]:
    values = {
        "full_name": uri(text) if text else None,
        "relative_name": None,
        "only_contains_user_certs": False,
        "only_contains_ca_certs": False,
        "only_some_reasons": None,
        "indirect_crl": False,
        "only_contains_attribute_certs": False,
    }
    return x509.IssuingDistributionPoint(**(values | flags)), True


def cause(caught: pytest.ExceptionInfo[CouldNotCheckError]) -> str:
    assert caught.value.code == "REVOCATION_UNKNOWN"
    return str(caught.value.facts["causes"][0])  # type: ignore[index]


def test_load(pki: Any) -> None:
    root = pki.root()
    leaf = pki.leaf(root)
    pki.revoke(
        root,
        leaf,
        reason=x509.ReasonFlags.superseded,
        extra=[(x509.InvalidityDate(pki.T - 9 * pki.DAY), False)],
    )
    crl = load_crl(pki.crl(root, number=7))

    assert crl.number == 7
    assert len(crl) == 1
    entry = crl.find(leaf.certificate.serial_number)
    assert entry is not None
    assert (entry.reason, entry.revoked_at) == ("superseded", pki.T - pki.DAY)
    assert entry.invalid_since == pki.T - 9 * pki.DAY
    assert crl.find(1) is None
    assert not crl.is_delta
    crl.check_signature(root.key.public_key(), at=pki.T)
    with pytest.raises(SignatureInvalidError):
        crl.check_signature(pki.key().public_key(), at=pki.T)


def test_pem(pki: Any) -> None:
    root = pki.root()
    pem = x509.load_der_x509_crl(pki.crl(root)).public_bytes(Encoding.PEM)
    assert load_crl(pem).issuer_text == "CN=Root,C=CN"
    with pytest.raises(MalformedError):
        load_crl(pem + pem)


def test_many_serials_are_found(pki: Any) -> None:
    """Serials of all lengths, also negative ones and those that differ in one octet."""
    serials = [1, 127, 128, 255, 256, 2**159 - 1, 2**64, *(2**120 + i for i in range(2000))]
    entries = [x509.RevokedCertificateBuilder(s, pki.T - pki.DAY).build() for s in serials]
    crl = load_crl(pki.crl(pki.root(), entries=entries))
    assert all(crl.find(serial) for serial in serials)
    assert not any(crl.find(serial) for serial in (0, -1, 2, 129, 2**120 + 2000, 2**121))


def test_altered_crl_does_not_count(pki: Any) -> None:
    """The only CRL was altered after signing. Not known."""
    root = pki.root()
    leaf = pki.leaf(root)
    pki.revoke(root, leaf)
    der = bytearray(pki.crl(root))
    serial = leaf.certificate.serial_number.to_bytes(2, "big")
    der[der.rindex(serial) + 1] ^= 1

    with pytest.raises(CouldNotCheckError) as caught:
        pki.validate(leaf, root=root, crls=[bytes(der)])
    assert cause(caught) == "CRL_SIGNER"


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"next_update": 0}, "CRL_STALE"),
        ({"this_update": 1}, "CRL_FUTURE"),
    ],
)
def test_freshness(pki: Any, changes: dict[str, Any], code: str) -> None:
    root = pki.root()
    moments = {key: pki.T + value * timedelta(seconds=1) for key, value in changes.items()}
    with pytest.raises(CouldNotCheckError) as caught:
        pki.validate(pki.leaf(root), root=root, crls=[pki.crl(root, **moments)])
    assert cause(caught) == code


def without_next_update(pki: Any, der: bytes, key: Any) -> bytes:
    """Cut next_update out of a CRL and sign what is left; the builder will not make such a list."""
    crl = x509.load_der_x509_crl(der)
    tbs = crl.tbs_certlist_bytes
    begin = tbs.index(b"\x17\x0d", tbs.index(b"\x17\x0d") + 1)
    contents = tbs[slice_tlv(tbs, 0)[0] : begin] + tbs[begin + 15 :]
    return pki.sign_sequence(pki.tlv(0x30, contents), key)


def test_no_next_update(pki: Any) -> None:
    """A list that never ends cannot be told from one that was kept back. Not known."""
    root = pki.root()
    crl = without_next_update(pki, pki.crl(root), root.key)
    with pytest.raises(CouldNotCheckError) as caught:
        pki.validate(pki.leaf(root), root=root, crls=[crl])
    assert cause(caught) == "CRL_NO_NEXT_UPDATE"


def test_grace(pki: Any) -> None:
    """A CRL that ended an hour ago, with two hours of grace: accepted with a warning, and not for longer."""
    root = pki.root()
    leaf = pki.leaf(root)
    crl = pki.crl(root, this_update=pki.T - 5 * HOUR, next_update=pki.T - HOUR)
    path = pki.validate(
        leaf, root=root, crls=[crl], revocation_policy=RevocationPolicy(allow_offline=2 * HOUR)
    )
    assert [warning.code for warning in path.warnings] == ["REVOCATION_STALE"]
    assert path.valid_until == pki.T + HOUR

    with pytest.raises(CouldNotCheckError):
        pki.validate(leaf, root=root, crls=[crl], revocation_policy=RevocationPolicy(allow_offline=HOUR))


def test_list_until_the_end_of_time(pki: Any) -> None:
    """nextUpdate 9999-12-31 with a grace period: no date overflows."""
    root = pki.root()
    crl = pki.crl(root, next_update=pki.T.replace(year=9999, month=12, day=31))
    policy = RevocationPolicy(allow_offline=9 * pki.DAY)
    assert pki.validate(pki.leaf(root), root=root, crls=[crl], revocation_policy=policy)


def test_stale_list_still_revokes(pki: Any) -> None:
    """A list that ended long ago names the leaf: revoked, not merely unknown. A hold may have been lifted."""
    root = pki.root()
    leaf = pki.leaf(root)
    long_ago = {"this_update": pki.T - 9 * pki.DAY, "next_update": pki.T - 8 * pki.DAY}
    pki.revoke(root, leaf, reason=x509.ReasonFlags.certificate_hold)
    with pytest.raises(CouldNotCheckError):
        pki.validate(leaf, root=root, crls=[pki.crl(root, **long_ago)])

    root.revoked.clear()
    pki.revoke(root, leaf)
    prefer = RevocationPolicy(mode=RevocationMode.PREFER)
    with pytest.raises(RevokedError):
        pki.validate(leaf, root=root, crls=[pki.crl(root, **long_ago)], revocation_policy=prefer)
    with pytest.raises(CouldNotCheckError):  # but not on the word of a stranger
        pki.validate(leaf, root=root, crls=[pki.crl(root, key=pki.key(), **long_ago)])


def test_no_number_goes_back(pki: Any) -> None:
    root = pki.root()
    new, old = load_crl(pki.crl(root, number=9)), load_crl(pki.crl(root, number=8))
    new.check_not_older(old)
    with pytest.raises(RefusedError) as caught:
        old.check_not_older(new)
    assert caught.value.code == "CRL_ROLLBACK"


def test_unknown_critical_extensions(pki: Any) -> None:
    """In the list, or in the entry of another certificate: the list must not be used at all."""
    root = pki.root()
    leaf, other = pki.leaf(root), pki.leaf(root, "Other")
    unknown = (x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), b"\x05\x00"), True)
    with pytest.raises(CouldNotCheckError) as caught:
        pki.validate(leaf, root=root, crls=[pki.crl(root, extra=[unknown])])
    assert cause(caught) == "CRL_CRITICAL_EXTENSION"

    entry = x509.RevokedCertificateBuilder(other.certificate.serial_number, pki.T - pki.DAY)
    entry = entry.add_extension(*unknown)
    with pytest.raises(CouldNotCheckError) as caught:
        pki.validate(leaf, root=root, crls=[pki.crl(root, entries=[entry.build()])])
    assert cause(caught) == "CRL_CRITICAL_EXTENSION"


def test_crl_of_a_namesake(pki: Any) -> None:
    """A stranger with the name of the CA says that nobody is revoked. It does not count."""
    root = pki.root()
    leaf = pki.leaf(root)
    with pytest.raises(CouldNotCheckError) as caught:
        pki.validate(leaf, root=root, crls=[pki.crl(pki.root())])
    assert cause(caught) == "CRL_SIGNER"


def test_ca_without_crl_sign(pki: Any) -> None:
    """root -> CA whose key may not sign CRLs -> leaf, with a CRL signed by that key. Not known."""
    root = pki.root()
    ca = pki.ca(root, key_usage=pki.usage("key_cert_sign"))
    with pytest.raises(CouldNotCheckError) as caught:
        pki.validate(pki.leaf(ca), root=root, cas=[ca], crls=pki.crls(root, ca))
    assert cause(caught) == "CRL_SIGNER"


def test_separate_crl_signer(pki: Any) -> None:
    """root -> CA -> leaf, and root -> CRL signer named like the CA. Accepted; not when it is revoked."""
    root = pki.root()
    ca = pki.ca(root, key_usage=pki.usage("key_cert_sign"))
    signer = pki.issue("Issuing CA", root, key_usage=pki.usage("crl_sign"))
    leaf = pki.leaf(ca)
    crl = pki.crl(ca, key=signer.key)
    pki.validate(leaf, root=root, cas=[ca, signer], crls=[pki.crl(root), crl])

    with pytest.raises(CouldNotCheckError):
        pki.validate(leaf, root=root, cas=[ca], crls=[pki.crl(root), crl])

    pki.revoke(root, signer)
    with pytest.raises(CouldNotCheckError) as caught:
        pki.validate(leaf, root=root, cas=[ca, signer], crls=[pki.crl(root), crl])
    assert cause(caught) == "CRL_SIGNER"


def test_crl_signer_of_another_anchor(pki: Any) -> None:
    """The CRL signer's path ends at another of our anchors. Not known (RFC 5280, 6.3.3 (f))."""
    root, other = pki.root(), pki.root("Other root")
    ca = pki.ca(root, key_usage=pki.usage("key_cert_sign"))
    signer = pki.issue("Issuing CA", other, key_usage=pki.usage("crl_sign"))
    crls = [*pki.crls(root, other), pki.crl(ca, key=signer.key)]
    with pytest.raises(CouldNotCheckError):
        pki.validate(pki.leaf(ca), root=[root, other], cas=[ca, signer], crls=crls)


@pytest.mark.parametrize(
    ("in_certificate", "in_list", "good"),
    [
        (None, None, True),
        ("http://a/1.crl", None, True),
        ("http://a/1.crl", {"text": "http://a/1.crl"}, True),
        ("http://a/1.crl", {"text": "http://a/2.crl"}, False),
        (None, {"text": "http://a/1.crl"}, False),
        (None, {"only_contains_user_certs": True}, True),
        (None, {"only_contains_ca_certs": True}, False),
        (None, {"only_contains_attribute_certs": True}, False),
        (None, {"only_some_reasons": frozenset({x509.ReasonFlags.key_compromise})}, False),
    ],
)
def test_scope(pki: Any, in_certificate: str | None, in_list: dict[str, Any] | None, good: bool) -> None:
    """The scope of the list must hold the certificate; a partition of another point says nothing."""
    root = pki.root()
    leaf = pki.leaf(root, extra=[(point(in_certificate), False)] if in_certificate else [])
    crl = pki.crl(root, extra=[scope(**in_list)] if in_list else [])
    if good:
        pki.validate(leaf, root=root, crls=[crl])
    else:
        with pytest.raises(CouldNotCheckError) as caught:
            pki.validate(leaf, root=root, crls=[crl])
        assert cause(caught) in {"CRL_SCOPE", "CRL_REASONS"}


def test_partitions_by_reason(pki: Any) -> None:
    """Two lists, each for some reasons, cover the certificate together."""
    root = pki.root()
    leaf = pki.leaf(root)
    every = set(x509.ReasonFlags) - {x509.ReasonFlags.unspecified, x509.ReasonFlags.remove_from_crl}
    some = frozenset({x509.ReasonFlags.key_compromise, x509.ReasonFlags.ca_compromise})
    one = pki.crl(root, extra=[scope(only_some_reasons=some)])
    two = pki.crl(root, extra=[scope(only_some_reasons=frozenset(every - some))])
    pki.validate(leaf, root=root, crls=[one, two])

    pki.revoke(root, leaf)
    revoking = pki.crl(root, extra=[scope(only_some_reasons=some)])
    with pytest.raises(RevokedError):
        pki.validate(leaf, root=root, crls=[two, revoking])


def test_indirect(pki: Any) -> None:
    """A CRL issuer of its own lists the certificates of two CAs; the issuer named in an entry is sticky."""
    root = pki.root()
    issuer = pki.issue("CRL service", root, key_usage=pki.usage("crl_sign"))
    ca1, ca2 = pki.ca(root, "CA 1"), pki.ca(root, "CA 2")
    named = point(None, crl_issuer=[x509.DirectoryName(issuer.subject)])
    leaf1 = pki.leaf(ca1, serial=5, extra=[(named, False)])
    leaf2 = pki.leaf(ca2, serial=5, extra=[(named, False)])
    later = pki.leaf(ca2, serial=6, extra=[(named, False)])
    first = x509.RevokedCertificateBuilder(4, pki.T - pki.DAY)
    first = first.add_extension(x509.CertificateIssuer([x509.DirectoryName(ca2.subject)]), True)
    entries = [first.build(), *(x509.RevokedCertificateBuilder(s, pki.T - pki.DAY).build() for s in (5, 6))]
    crl = pki.crl(issuer, entries=entries, extra=[scope(indirect_crl=True)])
    inputs = {
        "root": root,
        "cas": [ca1, ca2, issuer],
        "crls": [crl, pki.crl(root)],
        "revocation_policy": LEAF_ONLY,
    }

    pki.validate(leaf1, **inputs)
    for leaf in (leaf2, later):
        with pytest.raises(RevokedError):
            pki.validate(leaf, **inputs)

    loaded = load_crl(crl)
    assert loaded.find(5, canonical_name(ca2.subject.public_bytes()))
    assert not loaded.find(5)


def test_delta(pki: Any) -> None:
    """A delta list revokes one certificate and releases another; one that does not fit is ignored."""
    root = pki.root()
    held, fresh = pki.leaf(root, "Held"), pki.leaf(root, "Fresh")
    pki.revoke(root, held, reason=x509.ReasonFlags.certificate_hold)
    base = pki.crl(root, number=10)
    root.revoked.clear()
    pki.revoke(root, held, reason=x509.ReasonFlags.remove_from_crl)
    pki.revoke(root, fresh)
    delta = pki.crl(root, number=12, extra=[(x509.DeltaCRLIndicator(10), True)])
    unfit = pki.crl(root, number=13, extra=[(x509.DeltaCRLIndicator(11), True)])

    pki.validate(held, root=root, crls=[base, delta])
    with pytest.raises(RevokedError):
        pki.validate(fresh, root=root, crls=[base, delta])

    pki.validate(fresh, root=root, crls=[base, unfit])
    with pytest.raises(RevokedError):
        pki.validate(held, root=root, crls=[base, unfit])

    with pytest.raises(CouldNotCheckError):  # a delta alone is no list
        pki.validate(fresh, root=root, crls=[delta])


def test_a_list_that_arrives_later_counts_at_once(pki: Any) -> None:
    """What was concluded from older lists is dropped."""
    root = pki.root()
    ca = pki.ca(root)
    leaf = pki.leaf(ca)
    evidence = RevocationEvidence(crls=pki.crls(root, ca))
    validator = PathValidator(anchors=[root.anchor], candidates=[ca.certificate], evidence=evidence)
    validator.validate(leaf.der, at=pki.T)
    validator.validate(leaf.der, at=pki.T)  # warm

    pki.revoke(root, ca)
    evidence.add_crl(pki.crl(root, this_update=pki.T - timedelta(minutes=1)))
    with pytest.raises(RevokedError):
        validator.validate(leaf.der, at=pki.T)
    validator.validate(
        leaf.der, at=pki.T - timedelta(minutes=2)
    )  # before the newer list, the older one counts

    evidence.replace_crls([])
    with pytest.raises(CouldNotCheckError):
        validator.validate(leaf.der, at=pki.T)


def test_too_large(pki: Any) -> None:
    with pytest.raises(MalformedError) as caught:
        load_crl(pki.crl(pki.root()), limits=Limits(crl_max_bytes=100))
    assert caught.value.code == "TOO_LARGE"
