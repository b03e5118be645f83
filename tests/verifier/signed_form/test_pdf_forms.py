"""Forms signed as PDF: what verifies, what was changed after the signature, and how it is said.

root -> issuing CA -> signer ("Firm"), who signs with pyHanko; the trust is ours
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from io import BytesIO
from typing import Any

import pytest
from asn1crypto import keys, tsp, x509
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyhanko.pdf_utils import generic
from pyhanko.pdf_utils.incremental_writer import IncrementalPdfFileWriter
from pyhanko.pdf_utils.writer import PageObject, PdfFileWriter
from pyhanko.sign import fields, signers
from pyhanko.sign.timestamps.api import TimeStamper
from pyhanko_certvalidator.registry import SimpleCertificateStore

from onecert.verifier import PdfSignature, RevokedError, VerifyError
from onecert.verifier.signed_form import EvidenceTrust, check_evidence, load_evidence, make_evidence
from onecert.verifier.signed_form.digests import digest


def blank() -> bytes:
    """One page, and one field to fill in."""
    writer = PdfFileWriter(stream_xrefs=False)
    contents = writer.add_object(generic.StreamObject(stream_data=b"0 0 10 10 re f"))
    box = generic.ArrayObject(generic.NumberObject(number) for number in (0, 0, 300, 200))
    page = writer.insert_page(PageObject(contents=contents, media_box=box))
    text = generic.DictionaryObject(
        {
            generic.NameObject("/FT"): generic.NameObject("/Tx"),
            generic.NameObject("/T"): generic.TextStringObject("sum"),
            generic.NameObject("/V"): generic.TextStringObject("1"),
            generic.NameObject("/Type"): generic.NameObject("/Annot"),
            generic.NameObject("/Subtype"): generic.NameObject("/Widget"),
            generic.NameObject("/Rect"): generic.ArrayObject(generic.NumberObject(n) for n in (0, 0, 9, 9)),
            generic.NameObject("/P"): page,
        }
    )
    field = writer.add_object(text)
    page.get_object()[generic.NameObject("/Annots")] = generic.ArrayObject([field])
    form = generic.DictionaryObject({generic.NameObject("/Fields"): generic.ArrayObject([field])})
    writer.root[generic.NameObject("/AcroForm")] = writer.add_object(form)
    return written(writer)


def written(writer: Any) -> bytes:
    out = BytesIO()
    writer.write(out)
    return out.getvalue()


def asn1(party: Any) -> tuple[Any, Any]:
    key = party.key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    return x509.Certificate.load(party.der), keys.PrivateKeyInfo.load(key)


class Stamper(TimeStamper):
    """The authority of these tests, asked by pyHanko."""

    def __init__(self, office: Any, at: datetime | None = None) -> None:
        super().__init__()
        self.office, self.at = office, at

    async def async_request_tsa_response(self, req: tsp.TimeStampReq) -> tsp.TimeStampResp:
        return tsp.TimeStampResp.load(self.office.answer(req.dump(), self.at))


def sign(
    office: Any,
    data: bytes,
    *,
    name: str = "Signature1",
    party: Any = None,
    stamp: bool = False,
    pades: bool = True,
    **meta: Any,
) -> bytes:
    certificate, key = asn1(party or office.signer)
    subfilter = fields.SigSeedSubFilter.PADES if pades else fields.SigSeedSubFilter.ADOBE_PKCS7_DETACHED
    return bytes(
        signers.sign_pdf(
            IncrementalPdfFileWriter(BytesIO(data)),
            signers.PdfSignatureMetadata(field_name=name, md_algorithm="sha256", subfilter=subfilter, **meta),
            signer=signers.SimpleSigner(certificate, key, SimpleCertificateStore()),
            timestamper=Stamper(office) if stamp else None,
        ).getvalue()
    )


def filled(data: bytes, value: str = "2") -> bytes:
    writer = IncrementalPdfFileWriter(BytesIO(data))
    field = writer.root["/AcroForm"]["/Fields"][0]
    field[generic.NameObject("/V")] = generic.TextStringObject(value)
    writer.update_container(field)
    return written(writer)


def repainted(data: bytes) -> bytes:
    writer = IncrementalPdfFileWriter(BytesIO(data))
    page = writer.root["/Pages"]["/Kids"][0]
    page[generic.NameObject("/Contents")] = writer.add_object(generic.StreamObject(stream_data=b"0 g"))
    writer.update_container(page)
    return written(writer)


def archived(office: Any, data: bytes, at: datetime | None = None) -> bytes:
    """With a document timestamp over all before it."""
    done = signers.PdfTimeStamper(Stamper(office, at)).timestamp_pdf(
        IncrementalPdfFileWriter(BytesIO(data)), "sha256"
    )
    return bytes(done.getvalue())


def refused(office: Any, value: bytes, document: bytes | None = None, **options: Any) -> VerifyError:
    with pytest.raises(VerifyError) as caught:
        office.verify(PdfSignature(value=value, **options), document)
    return caught.value


@pytest.mark.parametrize("pades", [True, False])
def test_signed(office: Any, pades: bool) -> None:
    """PAdES, and the older form of Adobe; the document is the file."""
    value = sign(office, blank(), pades=pades)
    form = office.verify(PdfSignature(value=value), None)
    assert form.document == value
    assert form.signer.certificate.der == office.signer.der
    assert form.as_dict()["form"] == "pdf"
    assert office.verify(PdfSignature(value=value), value)
    assert refused(office, value, blank()).code == "FORM_CONTENT_DIFFERS"


def test_signer_is_judged_by_us(office: Any) -> None:
    """pyHanko would trust whom it likes: here a stranger and a revoked signer are refused."""
    stranger = office.pki.leaf(office.pki.root("Elsewhere"), "Firm")
    assert refused(office, sign(office, blank(), party=stranger)).code == "ISSUER_UNKNOWN"
    value = sign(office, blank())
    office.pki.revoke(office.ca, office.signer)
    with pytest.raises(RevokedError):
        office.verify(PdfSignature(value=value), None)


def test_timestamps(office: Any) -> None:
    """One in the signature (PAdES-T), one over the document (PAdES-LTA): each proves the time."""
    trust = office.timestamps()
    stamped = office.verify(PdfSignature(value=sign(office, blank(), stamp=True)), None, timestamps=trust)
    assert (stamped.signer.time.source, stamped.signer.signed_at) == ("timestamp", office.now)
    value = archived(office, sign(office, blank()))
    form = office.verify(PdfSignature(value=value), None, timestamps=trust)
    assert (form.signer.time.source, form.signer.signed_at) == ("timestamp", office.now)
    assert len(form.signers) == 1
    nobody = office.verify(PdfSignature(value=value), None)
    assert nobody.signer.time.source == "now"


def test_revoked_after_a_document_timestamp(office: Any) -> None:
    """Signed and stamped two days ago, revoked yesterday. Must be accepted, and said."""
    value = archived(office, sign(office, blank()), at=office.now - timedelta(days=2))
    office.pki.revoke(office.ca, office.signer, at=office.now - timedelta(days=1))
    form = office.verify(PdfSignature(value=value), None, timestamps=office.timestamps())
    assert "FORM_REVOKED_AFTER_SIGNING" in form.signer.warnings
    with pytest.raises(RevokedError):
        office.verify(PdfSignature(value=value), None)


def test_several_signatures(office: Any) -> None:
    """Two firms sign one after the other: each is judged, the second has seen what the first signed."""
    other = office.pki.leaf(office.ca, "Other firm")
    value = sign(office, sign(office, blank()), name="Signature2", party=other)
    assert refused(office, value).code == "CMS_SEVERAL_SIGNERS"
    form = office.verify(PdfSignature(value=value), None, several_signers=True)
    assert [s.certificate.der for s in form.signers] == [office.signer.der, other.der]
    assert "PDF_FILLED_LATER" in form.signers[0].warnings
    assert "PDF_FILLED_LATER" not in form.signers[1].warnings
    office.pki.revoke(office.ca, other)
    with pytest.raises(RevokedError):
        office.verify(PdfSignature(value=value), None, several_signers=True)


def test_changed_after_the_signature(office: Any) -> None:
    """Painted over: never. Filled in: only where the application allows it, and said."""
    value = sign(office, blank())
    error = refused(office, repainted(value))
    assert (error.code, error.facts["level"]) == ("PDF_CHANGED", "OTHER")
    error = refused(office, filled(value))
    assert (error.code, error.facts["level"]) == ("PDF_CHANGED", "FORM_FILLING")
    form = office.verify(PdfSignature(value=filled(value), allow_filling=True), None)
    assert "PDF_FILLED_LATER" in form.signer.warnings
    assert refused(office, repainted(value), allow_filling=True).code == "PDF_CHANGED"
    certified = sign(office, blank(), certify=True, docmdp_permissions=fields.MDPPerm.NO_CHANGES)
    assert office.verify(PdfSignature(value=certified), None)
    assert refused(office, filled(certified), allow_filling=True).code == "PDF_CHANGED"


def test_altered(office: Any) -> None:
    """An octet of the content; of the signature; bytes behind the end."""
    value = sign(office, blank())
    assert refused(office, value.replace(b"0 0 10 10 re", b"0 0 99 99 re")).code == "CMS_DIGEST"
    assert refused(office, value + b"\n% more\n").code in {"PDF_COVERAGE", "PDF_CHANGED", "PDF_MALFORMED"}
    at = value.index(b"/Contents <") + 11
    end = value.index(b">", at)
    hexed = bytes.fromhex(value[at:end].decode()).rstrip(b"\x00")
    broken = (hexed[:-1] + bytes((hexed[-1] ^ 1,))).hex().encode().ljust(end - at, b"0")
    assert refused(office, value[:at] + broken + value[end:]).code in {"SIGNATURE_INVALID", "CMS_MALFORMED"}
    trailing = (hexed + b"more").hex().encode().ljust(end - at, b"0")
    assert refused(office, value[:at] + trailing + value[end:]).code == "CMS_TRAILING"


@pytest.mark.parametrize("share", ["first", "middle", "last"])
def test_part_of_the_file(office: Any, share: str) -> None:
    """ByteRange leaves out more than the signature's own place, or not all of it."""
    value = sign(office, blank())
    at = value.index(b"/ByteRange [") + 12
    end = value.index(b"]", at)
    numbers = [int(number) for number in value[at:end].split()]
    match share:
        case "first":
            numbers[0] += 1
        case "middle":
            numbers[2] += 8
            numbers[3] -= 8
        case _:
            numbers[3] -= 8
    text = " ".join(map(str, numbers)).encode().ljust(end - at)
    assert refused(office, value[:at] + text + value[end:]).code in {"PDF_COVERAGE", "CMS_DIGEST"}


@pytest.mark.parametrize(
    ("value", "code"),
    [
        (b"", "PDF_MALFORMED"),
        (b"no PDF", "PDF_MALFORMED"),
        (b"%PDF-1.7\n" + b"[" * 20000, "PDF_MALFORMED"),
        (blank(), "PDF_SIGNATURES"),
        (blank()[:-60], "PDF_MALFORMED"),
        (b"%PDF-1.7" + b" " * (17 << 20), "TOO_LARGE"),
    ],
)
def test_files(office: Any, value: bytes, code: str) -> None:
    assert refused(office, value).code == code


def test_formats(office: Any) -> None:
    """Signatures over SHA-1 digests alone, and encrypted files."""
    value = sign(office, blank(), pades=False)
    old = value.replace(b"/adbe.pkcs7.detached", b"/adbe.pkcs7.sha1    ")
    assert refused(office, old).code == "PDF_FORMAT"
    writer = PdfFileWriter()
    writer.insert_page(
        PageObject(contents=writer.add_object(generic.StreamObject(stream_data=b"")), media_box=(0, 0, 9, 9))
    )
    writer.encrypt("secret")
    assert refused(office, written(writer)).code == "PDF_ENCRYPTED"


def test_record(office: Any) -> None:
    """The record holds the file and is judged again without network; an altered file in it is found."""
    trust = office.timestamps()
    source = PdfSignature(value=archived(office, sign(office, blank())))
    form = office.verify(source, None, timestamps=trust)
    record = make_evidence(form, at=office.now, stamp=lambda data, _="sha256": office.token(data, office.now))
    assert load_evidence(record).signature == source
    known = EvidenceTrust(timestamps=trust, anchors=(office.root.anchor,))
    checked = check_evidence(record, None, trust=known, at=office.now)
    assert checked.form.signer.time.source == "timestamp"
    assert check_evidence(record, source.value, trust=known, at=office.now).document_seen
    with pytest.raises(VerifyError) as caught:
        check_evidence(record, blank(), trust=known, at=office.now)
    assert caught.value.code == "EVIDENCE_DOCUMENT"
    plain = load_evidence(make_evidence(form, at=office.now))
    with pytest.raises(VerifyError) as caught:
        check_evidence(
            replace(plain, digests={"sha256": digest("sha256", b"another")}), trust=known, at=office.now
        )
    assert caught.value.code == "EVIDENCE_DOCUMENT"


EDITS = st.lists(
    st.tuples(
        st.floats(0, 1, exclude_max=True),
        st.sampled_from(
            [b"", b"<<", b">>", b"[", b"]", b"0", b"-1", b"9 0 R", b"/ByteRange", b"stream", b"%"]
        ),
        st.integers(0, 40),
    ),
    min_size=1,
    max_size=3,
)


@pytest.fixture
def signed_once(office: Any) -> bytes:
    """For tests that damage one file in many ways: to sign takes longer than to verify."""
    return sign(office, blank())


@given(edits=EDITS)
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_comes(office: Any, signed_once: bytes, edits: list[tuple[float, bytes, int]]) -> None:
    """Damaged files give our errors; where one is accepted, the signature covers what it covered."""
    value = original = signed_once
    for share, text, cut in edits:
        at = int(share * len(value))
        value = value[:at] + text + value[at + cut :]
    try:
        office.verify(PdfSignature(value=value), None)
    except VerifyError:
        return
    place = original.index(b"/Contents <")
    assert value[:place] == original[:place]
    assert value.endswith(original[original.index(b">", place) :])
