"""OCSP answers about attribute certificates: who may sign them, what they tell, and which kind is asked."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from datetime import timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID

from onecert.verifier import CouldNotCheckError, RefusedError, VerifyError
from onecert.verifier.attribute_certificate import RevocationLists
from onecert.verifier.certificate import as_parsed
from onecert.verifier.revocation.ocsp_answer import key_octets

SERIAL = 0x1234567890ABCDEF
HOUR = timedelta(hours=1)
GOOD, REVOKED, UNKNOWN = "good", "revoked", "unknown"


@dataclass(frozen=True)
class Answers:
    """Answers at hand, whoever is asked about."""

    ders: tuple[bytes, ...]

    def find_answers(self, authority, serial: int) -> tuple[bytes, ...]:
        return self.ders


def answer(world, lab, status=GOOD, **changes) -> bytes:
    """An answer signed by the authority an hour before T, good for a day."""
    values = {
        "serial": SERIAL,
        "begin": lab.T - HOUR,
        "end": lab.T + lab.DAY,
        "revoked_at": lab.T - 2 * HOUR,
        "about": world.authority,
        "by": world.authority,
        "signer": None,
        "sent": (),
        **changes,
    }
    about, by, tlv = as_parsed(values["about"].certificate), values["by"], lab.tlv
    cert_id = tlv(
        0x30,
        tlv(0x30, lab.oid("2.16.840.1.101.3.4.2.1")),
        tlv(0x04, hashlib.sha256(about.subject_der).digest()),
        tlv(0x04, hashlib.sha256(key_octets(about.spki_der)).digest()),
        lab.integer(values["serial"]),
    )
    said = {
        "good": tlv(0x80),
        "revoked": tlv(0xA1, lab.generalized(values["revoked_at"]), tlv(0xA0, tlv(0x0A, b"\x09"))),
        "unknown": tlv(0x82),
    }[status]
    times = lab.generalized(values["begin"]), tlv(0xA0, lab.generalized(values["end"]))
    key = hashlib.sha1(key_octets(as_parsed(by.certificate).spki_der), usedforsecurity=False).digest()
    single = tlv(0x30, cert_id, said, *times)
    data = tlv(0x30, tlv(0xA2, tlv(0x04, key)), times[0], tlv(0x30, single))
    signature = (values["signer"] or by.key).sign(data, ec.ECDSA(hashes.SHA256()))
    sent = tlv(0x30, *(each.public_bytes(Encoding.DER) for each in values["sent"]))
    basic = tlv(0x30, data, lab.ECDSA_SHA256, tlv(0x03, b"\x00", signature), tlv(0xA0, sent))
    response = tlv(0x30, lab.oid("1.3.6.1.5.5.7.48.1.1"), tlv(0x04, basic))
    return tlv(0x30, tlv(0x0A, b"\x00"), tlv(0xA0, response))


def verify(world, lab, *answers: bytes, lists=(), sources="ocsp", trust=None, at=None):
    trust = trust or world.trust()
    verifier = world.verifier(trust=trust)
    verifier = replace(
        verifier, status=RevocationLists(trust, lists), answers=Answers(answers), sources=sources
    )
    return verifier.verify(world.issue(), holder=world.official.certificate, at=at or lab.T)


def refusal(world, lab, *answers: bytes, **changes) -> VerifyError:
    with pytest.raises(VerifyError) as caught:
        verify(world, lab, *answers, **changes)
    return caught.value


def test_an_answer_of_the_authority_is_enough(world, lab) -> None:
    assert verify(world, lab, answer(world, lab)).status == "ocsp"


def test_a_revoked_one_says_when_and_why(world, lab) -> None:
    error = refusal(world, lab, answer(world, lab, REVOKED))
    assert isinstance(error, RefusedError)
    assert error.code == "REVOKED"
    assert error.facts == {"revoked_at": lab.T - 2 * HOUR, "reason": "privilegeWithdrawn"}


NOT_BELIEVED = {
    "about another serial": lambda world, lab: {"serial": SERIAL + 1},
    "about another authority": lambda world, lab: {"about": world.other},
    "signed by the holder": lambda world, lab: {"by": world.official, "sent": [world.official.certificate]},
    "signed by another key": lambda world, lab: {"signer": world.other.key},
    "over": lambda world, lab: {"begin": lab.T - 9 * HOUR, "end": lab.T - HOUR},
    "of the future": lambda world, lab: {"begin": lab.T + HOUR},
    "unknown": lambda world, lab: {"status": UNKNOWN},
}


@pytest.mark.parametrize("name", NOT_BELIEVED)
def test_an_answer_that_is_not_believed_tells_nothing(world, lab, name: str) -> None:
    changes = NOT_BELIEVED[name](world, lab)
    error = refusal(world, lab, answer(world, lab, changes.pop("status", GOOD), **changes))
    assert isinstance(error, CouldNotCheckError)
    assert error.code == "STATUS_UNKNOWN"


def test_rubbish_is_not_an_answer(world, lab) -> None:
    good = answer(world, lab)
    for data in (b"", b"\x30\x00", good[:-1], good + b"\x00", b"\x30\x03\x0a\x01\x06"):
        assert refusal(world, lab, data).code == "STATUS_UNKNOWN"
    assert verify(world, lab, b"\x30\x00", good).roles


def test_a_later_answer_tells_what_was_revoked_then(world, lab) -> None:
    later = {"begin": lab.T + HOUR}
    assert refusal(world, lab, answer(world, lab, REVOKED, **later)).code == "REVOKED"
    after = {**later, "revoked_at": lab.T + HOUR}
    assert refusal(world, lab, answer(world, lab, REVOKED, **after)).code == "STATUS_UNKNOWN"
    assert verify(world, lab, answer(world, lab), answer(world, lab, REVOKED, **after)).roles


@pytest.fixture(scope="module")
def certified(lab):
    """An authority and a responder that the same CA has certified; the identifier of the CA's key is said."""
    ca_key = x509.AuthorityKeyIdentifier(b"\x11" * 20, None, None)
    signing = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.OCSP_SIGNING])
    world = lab.World(authority=lab.identity("属性授权机构", extra=((ca_key, False),)))
    return world, lab.identity("应答者", extra=((ca_key, False), (signing, False))), signing


def test_a_responder_that_the_ca_of_the_authority_named(certified, lab) -> None:
    world, responder, _ = certified
    asked = []
    trust = replace(world.trust(), check_responder=lambda certificate, at: asked.append(certificate))
    data = answer(world, lab, by=responder, sent=[responder.certificate])
    assert verify(world, lab, data, trust=trust).status == "ocsp"
    assert [each.der for each in asked] == [responder.certificate.public_bytes(Encoding.DER)]
    assert refusal(world, lab, data).code == "STATUS_UNKNOWN", "nobody checks the path of a responder"

    def refuse(certificate, at) -> None:
        raise RefusedError("CERT_REVOKED")

    trust = replace(world.trust(), check_responder=refuse)
    assert refusal(world, lab, data, trust=trust).facts["detail"] == "CERT_REVOKED"


@pytest.mark.parametrize("fault", ["no purpose", "another CA", "a CA itself"])
def test_other_certificates_do_not_make_a_responder(certified, lab, fault: str) -> None:
    world, _, signing = certified
    key = b"\x22" * 20 if fault == "another CA" else b"\x11" * 20
    extra = [(x509.AuthorityKeyIdentifier(key, None, None), False), (signing, False)]
    if fault == "no purpose":
        extra.pop()
    stranger = lab.identity("应答者", extra=tuple(extra), ca=fault == "a CA itself")
    trust = replace(world.trust(), check_responder=lambda certificate, at: None)
    data = answer(world, lab, by=stranger, sent=[stranger.certificate])
    assert refusal(world, lab, data, trust=trust).code == "STATUS_UNKNOWN"


@pytest.mark.parametrize(
    ("sources", "lists", "answers", "wanted"),
    [
        ("either", "good", "none", "acrl"),
        ("either", "none", "good", "ocsp"),
        ("either", "none", "none", "STATUS_UNKNOWN"),
        ("either", "revoked", "good", "REVOKED"),
        ("prefer-ocsp", "good", "good", "ocsp"),
        ("prefer-ocsp", "good", "none", "acrl"),
        ("prefer-ocsp", "good", "revoked", "REVOKED"),
        ("prefer-crl", "good", "good", "acrl"),
        ("ocsp", "good", "none", "STATUS_UNKNOWN"),
        ("crl", "none", "good", "STATUS_UNKNOWN"),
        ("both", "good", "good", "acrl+ocsp"),
        ("both", "good", "none", "STATUS_UNKNOWN"),
        ("both", "none", "good", "STATUS_UNKNOWN"),
        ("both", "good", "revoked", "REVOKED"),
    ],
)
def test_which_kind_can_say_good(world, lab, sources, lists, answers, wanted) -> None:
    acrl = {"good": [world.acrl()], "revoked": [world.acrl(SERIAL)], "none": []}[lists]
    status = {"good": GOOD, "revoked": REVOKED}.get(answers)
    ders = () if status is None else (answer(world, lab, status),)
    if wanted.isupper():
        assert refusal(world, lab, *ders, lists=acrl, sources=sources).code == wanted
    else:
        assert verify(world, lab, *ders, lists=acrl, sources=sources).status == wanted


def test_both_needs_somebody_who_answers(world, lab) -> None:
    """``both`` without a source of answers never says good; an unknown word is the program's mistake."""
    verifier = replace(world.verifier(), sources="both")
    with pytest.raises(CouldNotCheckError, match="STATUS_UNKNOWN"):
        verifier.verify(world.issue(), holder=world.official.certificate, at=lab.T)
    with pytest.raises(ValueError, match="neither"):
        replace(world.verifier(), sources="neither")
