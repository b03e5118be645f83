"""One table of what arrives at a counter as a CMS signature, each row with its own answer.

root -> issuing CA -> signer; a row changes one thing of a message that is right
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from onecert.verifier import VerifyError

P9 = "1.2.840.113549.1.9."
Change = Callable[[Any, bytes], tuple[bytes, bytes | None]]


def good(office: Any, document: bytes, **changes: Any) -> bytes:
    made: bytes = office.signed_data(None, office.signer_info(office.attributes(document)), **changes)
    return made


def altered(data: bytes, part: bytes) -> bytes:
    """The last octet of ``part`` changed, which occurs once."""
    assert data.count(part) == 1
    return data.replace(part, part[:-1] + bytes((part[-1] ^ 1,)))


def altered_end(data: bytes) -> bytes:
    return data[:-1] + bytes((data[-1] ^ 1,))


def attribute_altered(office: Any, document: bytes) -> bytes:
    """signing-time, which the signature covers, moved by a second."""
    time = office.attribute(P9 + "5", b"\x17\x0d261121090000Z")
    info = office.signer_info([*office.attributes(document), time])
    return altered(office.signed_data(None, info), b"\x17\x0d261121090000")


def other_signer(office: Any, document: bytes, **party: Any) -> bytes:
    """Named by the serial number of nobody's certificate."""
    named = office.pki.leaf(office.ca, "Firm", key=office.signer.key, **party)
    info = office.signer_info(office.attributes(document), party=named)
    made: bytes = office.signed_data(None, info)
    return made


def of_version(office: Any, document: bytes, number: int) -> bytes:
    return good(office, document).replace(b"\x02\x01\x01", bytes((2, 1, number)), 1)


ROWS: dict[str, tuple[str, Change]] = {
    "another document": ("CMS_DIGEST", lambda office, document: (good(office, document), document + b" ")),
    "an attached document, altered": (
        "CMS_DIGEST",
        lambda office, document: (altered(office.cms("-nodetach"), document), None),
    ),
    "an attribute altered": (
        "SIGNATURE_INVALID",
        lambda office, document: (attribute_altered(office, document), document),
    ),
    "the signature altered": (
        "SIGNATURE_INVALID",
        lambda office, document: (altered_end(good(office, document)), document),
    ),
    "message digest of something else": (
        "CMS_DIGEST",
        lambda office, document: (
            office.signed_data(None, office.signer_info(office.attributes(document, digest_of=b"else"))),
            document,
        ),
    ),
    "another content type in the attributes": (
        "CMS_CONTENT_TYPE",
        lambda office, document: (good(office, document, content_type=P9 + "16.1.4"), document),
    ),
    "several signers": (
        "CMS_SEVERAL_SIGNERS",
        lambda office, document: (
            office.signed_data(None, *[office.signer_info(office.attributes(document))] * 2),
            document,
        ),
    ),
    "no signed attributes": ("CMS_NO_ATTRIBUTES", lambda office, document: (office.cms("-noattr"), document)),
    "no certificate, none at hand": (
        "CMS_NO_CERTIFICATE",
        lambda office, document: (good(office, document, certificates=[]), document),
    ),
    "another serial number": (
        "CMS_SIGNER_UNKNOWN",
        lambda office, document: (other_signer(office, document), document),
    ),
    "certificates only": ("CMS_NO_SIGNER", lambda office, document: (office.signed_data(None), document)),
    "an unknown version": (
        "CMS_VERSION",
        lambda office, document: (of_version(office, document, 6), document),
    ),
    "version 0": ("CMS_VERSION", lambda office, document: (of_version(office, document, 0), document)),
    "a signer's version that does not fit": (
        "CMS_VERSION",
        lambda office, document: (
            office.signed_data(
                None,
                office.signer_info(office.attributes(document)).replace(b"\x02\x01\x01", b"\x02\x01\x03", 1),
            ),
            document,
        ),
    ),
    "bytes behind the end": (
        "CMS_TRAILING",
        lambda office, document: (good(office, document) + b"\x00" * 7, document),
    ),
    "a second message behind the first": (
        "CMS_TRAILING",
        lambda office, document: (good(office, document) * 2, document),
    ),
    "cut off": ("CMS_MALFORMED", lambda office, document: (good(office, document)[:-9], document)),
    "an endless length": (
        "CMS_MALFORMED",
        lambda office, document: (b"\x30\x80" + good(office, document)[4:], document),
    ),
    "huge": ("TOO_LARGE", lambda office, document: (good(office, document) + b"\x00" * (17 << 20), document)),
    "text": ("NOT_PEM", lambda office, document: (b"a signature", document)),
}


@pytest.mark.parametrize(("code", "change"), ROWS.values(), ids=ROWS)
def test_row(office: Any, document: bytes, code: str, change: Change) -> None:
    """The message is good before the change, and refused for this reason after it."""
    trust = office.trust()
    if code == "CMS_NO_CERTIFICATE":
        trust = replace(trust, candidates=())
    assert office.verify(good(office, document), document)
    message, presented = change(office, document)
    with pytest.raises(VerifyError) as caught:
        office.verify(message, presented, trust=trust)
    assert caught.value.code == code
    assert caught.value.text("zh")


def test_every_reason_is_its_own() -> None:
    """One code never stands for two of the faults above, but for those that are the same to whoever reads."""
    codes = [code for code, _ in ROWS.values()]
    same = {"CMS_DIGEST": 3, "SIGNATURE_INVALID": 2, "CMS_VERSION": 3, "CMS_TRAILING": 2, "CMS_MALFORMED": 2}
    assert {code: codes.count(code) for code in codes if codes.count(code) > 1} == same


def test_indefinite_lengths_are_not_bad(office: Any, document: bytes) -> None:
    """BER with an end: RFC 5652, section 5.1, allows it, and what follows the end is refused all the same."""
    streamed = office.cms("-nodetach", "-stream")
    assert streamed[1] == 0x80
    assert office.verify(streamed, None).document == document
    with pytest.raises(VerifyError) as caught:
        office.verify(streamed + b"\x00\x00", None)
    assert caught.value.code == "CMS_TRAILING"
