"""Declarations signed at the tax office with ``openssl cms``: accepted, refused, and proved later."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from onecert.verifier.signed_form import EvidenceTrust, canonical_json, check_evidence

OTHER_NUMBER = "91440300MA5EYABCXR"


@pytest.fixture
def leaf(office: Any) -> Any:
    return office.world.leaf()


@pytest.fixture
def browser(office: Any, leaf: Any) -> Any:
    return office.browser(leaf, "en")


@pytest.fixture
def record(office: Any, browser: Any, leaf: Any) -> bytes:
    """The evidence of a signed declaration."""
    number = browser.declare()
    assert browser.upload(number, office.sign(browser.document(number), leaf)).status_code == 303
    answer = browser.get(f"/declarations/{number}/evidence")
    assert answer.headers["Content-Disposition"] == f'attachment; filename="evidence-{number}.json"'
    return bytes(answer.data)


@pytest.mark.parametrize("options", [(), ("-nodetach",), ("-md", "sha512")])
@pytest.mark.parametrize("ca", ["pearl", "harbour", "summit"])
def test_signed(office: Any, ca: str, options: tuple[str, ...]) -> None:
    """Detached, attached, with another digest; from each CA."""
    leaf = office.world.leaf(ca)
    browser = office.browser(leaf, "en")
    number = browser.declare()
    done = browser.upload(number, office.sign(browser.document(number), leaf, *options))
    assert (done.status_code, done.location) == (303, f"/declarations/{number}")
    page = browser.get(done.location).text
    assert "Evidence of the signature" in page
    assert "CRL · " in page
    assert "time of submission; no timestamp" in page


def test_signed_with_the_certificate_of_another_ca(office: Any, browser: Any) -> None:
    """Signed in with one CA's certificate, signed with another's, of the same firm. Must be accepted."""
    number = browser.declare()
    other = office.world.leaf("summit")
    assert browser.upload(number, office.sign(browser.document(number), other)).status_code == 303


def test_signature_over_another_document(office: Any, browser: Any, leaf: Any, code: Any) -> None:
    """One's own signature over last month's declaration; attached and detached."""
    older = browser.document(browser.declare(remark="older"))
    number = browser.declare()
    refused = browser.upload(number, office.sign(older, leaf))
    assert (refused.status_code, code(refused)) == (422, "CMS_DIGEST")
    refused = browser.upload(number, office.sign(older, leaf, "-nodetach"))
    assert code(refused) == "CMS_CONTENT_DIFFERS"
    assert "To be signed" in browser.get(f"/declarations/{number}").text


def test_signature_of_another_firm(office: Any, browser: Any, code: Any) -> None:
    """A good signature of somebody else."""
    stranger = office.world.leaf("pearl", number=OTHER_NUMBER, name="另一家")
    number = browser.declare()
    refused = browser.upload(number, office.sign(browser.document(number), stranger))
    assert (refused.status_code, code(refused)) == (422, "SIGNED_BY_ANOTHER")
    assert browser.get(f"/declarations/{number}/evidence").status_code == 404


def test_signature_with_a_certificate_for_signing_in_only(office: Any, browser: Any, code: Any) -> None:
    """Key usage digitalSignature without contentCommitment. What the form asks of a signer counts."""
    weak = office.world.leaf(usages=("key_agreement",))
    number = browser.declare()
    refused = browser.upload(number, office.sign(browser.document(number), weak))
    assert (refused.status_code, code(refused)) == (422, "KEY_USAGE")


def test_revoked_signer(office: Any, browser: Any, code: Any) -> None:
    """The certificate that signs is revoked, the one that signed in is not."""
    signer = office.world.leaf("pearl")
    office.world.revoke("pearl", signer)
    office.at += timedelta(minutes=2)
    office.publish()
    number = browser.declare()
    refused = browser.upload(number, office.sign(browser.document(number), signer))
    assert (refused.status_code, code(refused)) == (422, "FORM_REVOKED_TIME_NOT_PROVED")


def test_signer_of_no_listed_ca(office: Any, browser: Any, code: Any) -> None:
    number = browser.declare()
    refused = browser.upload(number, office.sign(browser.document(number), office.world.leaf("stranger")))
    assert (refused.status_code, code(refused)) == (422, "ISSUER_UNKNOWN")


def test_nobody_can_tell(office: Any, browser: Any, code: Any) -> None:
    """Signed with a certificate whose CA's list is over, and no newer one comes. Must not be accepted, and
    not be called wrong: the same signature is accepted when the list is there again."""
    office.at += timedelta(hours=30)
    office.publish()
    file = office.site / "pearl.crl"
    published = file.read_bytes()
    file.unlink()
    browser.sign_in(office.world.leaf())
    number = browser.declare()
    signature = office.sign(browser.document(number), office.world.leaf("pearl"))
    refused = browser.upload(number, signature)
    assert (refused.status_code, code(refused)) == (503, "REVOCATION_UNKNOWN")
    file.write_bytes(published)
    office.at += timedelta(minutes=1)
    assert browser.upload(number, signature).status_code == 303


def test_signed_twice(office: Any, browser: Any, leaf: Any, code: Any) -> None:
    """The second signature, good or not, changes nothing."""
    number = browser.declare()
    signature = office.sign(browser.document(number), leaf)
    browser.upload(number, signature)
    before = browser.get(f"/declarations/{number}/evidence").data
    refused = browser.upload(number, signature)
    assert (refused.status_code, code(refused)) == (422, "ALREADY_SIGNED")
    assert browser.get(f"/declarations/{number}/evidence").data == before


@pytest.mark.parametrize("rubbish", [b"", b"0", b"\x30\x80", b"-----BEGIN CMS-----\n-----END CMS-----\n"])
def test_no_signature_at_all(browser: Any, code: Any, rubbish: bytes) -> None:
    number = browser.declare()
    refused = browser.upload(number, rubbish)
    assert refused.status_code == 422
    assert code(refused)
    assert code(browser.post(f"/declarations/{number}/signature")) == "NO_SIGNATURE"


# Evidence.


def test_evidence_is_judged_again_by_anybody(office: Any, record: bytes) -> None:
    """Without signing in; and by the library with the officers' keys alone."""
    page = office.browser(language="en").check(record)
    assert page.status_code == 200
    assert "The evidence record holds" in page.text
    assert "示例科技有限公司" in page.text
    trust = EvidenceTrust(list_keys=office.world.list_keys)
    checked = check_evidence(record, trust=trust, at=office.at)
    assert checked.form.signer.identity is not None
    assert json.loads(checked.form.content.data)["income"] == "1200.50"


def places(node: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The places of all base64 in a record."""
    if isinstance(node, dict):
        for name, value in node.items():
            yield from places(value, (*path, name))
    elif isinstance(node, list):
        for number, value in enumerate(node):
            yield from places(value, (*path, number))
    elif isinstance(node, str) and len(node) > 40 and len(node) % 4 == 0 and path[-1] != "sha256":
        yield path


def test_tampered_records(office: Any, record: bytes, code: Any) -> None:
    """One bit of document, digest, signature or trust list is changed, and the record's own digest made to
    fit. Must hold no more; what else it encloses may be of no use, but never makes it say something else."""
    visitor = office.browser(language="en")
    refused = set()
    for path in places(json.loads(record)):
        altered = json.loads(record)
        node = altered
        for step in path[:-1]:
            node = node[step]
        try:
            data = bytearray(base64.b64decode(node[path[-1]], validate=True))
        except ValueError:
            continue
        data[-8] ^= 1  # of the signature itself, where it is one
        node[path[-1]] = base64.b64encode(data).decode()
        altered.pop("sha256")
        digest = hashlib.sha256(canonical_json(altered)).hexdigest()
        page = visitor.check(json.dumps(altered | {"sha256": digest}).encode())
        if page.status_code != 200:
            assert page.status_code in {422, 503}
            assert code(page)
            refused.add(path[0])
        else:
            assert path[0] == "certificates", path  # the signature encloses them too
    assert refused >= {"document", "signature", "trust"}, refused


def test_damaged_records(office: Any, record: bytes, code: Any) -> None:
    """Cut off, or changed by accident."""
    visitor = office.browser()
    assert code(visitor.check(record[:-9])) == "DOCUMENT_MALFORMED"
    assert code(visitor.check(record.replace(b'"bytes": ', b'"bytes": 1'))) == "EVIDENCE_ALTERED"


def test_records_that_are_none(office: Any, code: Any) -> None:
    visitor = office.browser()
    for rubbish in (b"", b"{}", b"[" * 10000, b"\xff"):
        page = visitor.check(rubbish)
        assert page.status_code == 422
        assert code(page)
    assert code(visitor.post("/check")) == "NO_RECORD"
