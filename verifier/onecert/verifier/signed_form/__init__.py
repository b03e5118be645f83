"""Signed forms: CMS and raw signatures, timestamps, and evidence that can be checked again years later."""

from onecert.verifier.signed_form.canonical_json import canonical_json, canonicalise
from onecert.verifier.signed_form.cms import SignedData, load_signed_data
from onecert.verifier.signed_form.evidence import (
    CheckedEvidence,
    check_evidence,
    make_evidence,
    renew_evidence,
)
from onecert.verifier.signed_form.evidence_record import EvidenceRecord, load_evidence
from onecert.verifier.signed_form.evidence_verdict import EvidenceTrust, walk_roots
from onecert.verifier.signed_form.extras import PdfSignature, XmlSignature
from onecert.verifier.signed_form.form import verify_form
from onecert.verifier.signed_form.form_result import FormPolicy, FormSigner, SignedForm
from onecert.verifier.signed_form.jws_form import JwsSignature
from onecert.verifier.signed_form.past_path import PathTrust
from onecert.verifier.signed_form.raw import DocumentForm, RawSignature
from onecert.verifier.signed_form.timestamp import Timestamp, TimestampTrust, check_timestamp
from onecert.verifier.signed_form.timestamp_request import (
    TimestampClient,
    TimestampRequest,
    read_timestamp_response,
    request_timestamp,
)
from onecert.verifier.signed_form.timestamp_token import TimestampToken, load_timestamp

__all__ = [
    "CheckedEvidence",
    "DocumentForm",
    "EvidenceRecord",
    "EvidenceTrust",
    "FormPolicy",
    "FormSigner",
    "JwsSignature",
    "PathTrust",
    "PdfSignature",
    "RawSignature",
    "SignedData",
    "SignedForm",
    "Timestamp",
    "TimestampClient",
    "TimestampRequest",
    "TimestampToken",
    "TimestampTrust",
    "XmlSignature",
    "canonical_json",
    "canonicalise",
    "check_evidence",
    "check_timestamp",
    "load_evidence",
    "load_signed_data",
    "load_timestamp",
    "make_evidence",
    "read_timestamp_response",
    "renew_evidence",
    "request_timestamp",
    "verify_form",
    "walk_roots",
]
