"""The rules of the lint: a stable id for each, where it is written, and what a finding says.

Certificates, lists, OCSP answers and timestamps share the table. An id never changes its meaning.
"""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["RULES", "Rule", "fault"]


class Rule(NamedTuple):
    """Where a rule is written, and the text of a finding; `{0}` is what was found."""

    source: str
    text: str


RULES: dict[str, Rule] = {
    "certificate-fields": Rule(
        "RFC 5280, section 4.1", "not exactly version to subjectPublicKeyInfo, and extensions"
    ),
    "certificate-key": Rule("RFC 5280, section 4.1.2.7", "not the key of the request"),
    "certificate-key-only-signs": Rule(
        "RFC 8410, section 5; RFC 9881, section 5",
        "a key that only signs has a key usage for encryption or key agreement",
    ),
    "certificate-version": Rule("RFC 5280, section 4.1.2.1", "not version 3"),
    "certificate-serial": Rule(
        "RFC 5280, section 4.1.2.2", "serial is not the reserved one, or not of its form"
    ),
    "certificate-algorithm": Rule("RFC 5280, section 4.1.2.3", "signature algorithm is not the issuer's"),
    "certificate-outer-algorithm": Rule(
        "RFC 5280, section 4.1.1.2", "outer signature algorithm is not the issuer's"
    ),
    "certificate-issuer": Rule(
        "RFC 5280, section 4.1.2.4", "issuer is not the subject of the issuing certificate"
    ),
    "certificate-time-form": Rule(
        "RFC 5280, section 4.1.2.5", "UTCTime through 2049, GeneralizedTime from 2050"
    ),
    "certificate-validity-rolled-over": Rule(
        "RFC 5280, section 4.1.2.5", "validity is not that of the key that is rolled over"
    ),
    "certificate-validity-start": Rule(
        "RFC 5280, section 4.1.2.5", "validity does not begin when it was drafted, or before the issuer's"
    ),
    "certificate-validity-term": Rule(
        "RFC 5280, section 4.1.2.5",
        "validity is not exactly the profile's, nor a shorter one that was asked for",
    ),
    "certificate-validity-beyond-issuer": Rule("the profile", "validity reaches beyond the issuer's"),
    "certificate-subject-reviewed": Rule(
        "the ceremony", "not the name of the certificate or request that was reviewed"
    ),
    "certificate-subject-field": Rule("the profile", "“{0}” is repeated or not of the profile"),
    "certificate-subject-string": Rule("RFC 5280, section 4.1.2.4", "“{0}” has the wrong string type"),
    "certificate-subject-value": Rule("the profile", "{0}"),
    "certificate-subject-ordered": Rule("the order", "not the subject that was ordered"),
    "certificate-key-identifier": Rule(
        "RFC 5280, section 4.2.1.2", "subject key identifier is not that of the key"
    ),
    "certificate-identity": Rule("the identity form", "{0}"),
    "certificate-extension-missing": Rule("the profile", "extension {0} is missing"),
    "certificate-extension-surplus": Rule("the profile", "extension {0} is not of the profile"),
    "certificate-extension-critical": Rule("the profile", "extension {0} has the wrong criticality"),
    "certificate-extension-value": Rule("the profile", "extension {0} has a wrong value"),
    "certificate-parse": Rule("X.690", "cannot be parsed: {0}"),
    "certificate-mappings": Rule("RFC 5280, section 4.2.1.5", "not the policy mappings that were reviewed"),
    "certificate-policy-constraints": Rule(
        "RFC 5280, section 4.2.1.11", "not the policy constraints that were reviewed"
    ),
    "certificate-inhibit-any": Rule(
        "RFC 5280, section 4.2.1.14", "not the limit of anyPolicy that was reviewed"
    ),
    "certificate-name-constraints": Rule(
        "RFC 5280, section 4.2.1.10", "not the name constraints that were reviewed"
    ),
    "list-drafted": Rule("the draft", "the list is not the one that was drafted"),
    "list-outer-algorithm": Rule("RFC 5280, section 5.1.1.2", "signature algorithm is not the issuer's"),
    "list-version": Rule("RFC 5280, section 5.1.2.1", "not version 2"),
    "list-algorithm": Rule("RFC 5280, section 5.1.2.2", "signature algorithm is not the issuer's"),
    "list-issuer": Rule("RFC 5280, section 5.1.2.3", "issuer is not the authority"),
    "list-times": Rule("RFC 5280, section 5.1.2.4", "times are not the drafted ones"),
    "list-next-update": Rule(
        "RFC 5280, section 5.1.2.5",
        "next update is missing, not after this update, or after the issuer's end",
    ),
    "list-entries": Rule("RFC 5280, section 5.1.2.6", "wrong number of entries"),
    "list-extensions": Rule(
        "RFC 5280, section 5.2", "extensions are not exactly those of such a list, each with its criticality"
    ),
    "list-number": Rule("RFC 5280, section 5.2.3", "number is not the reserved one"),
    "list-key-identifier": Rule("RFC 5280, section 5.2.1", "key identifier is not the issuer's"),
    "list-base-number": Rule(
        "RFC 5280, section 5.2.4", "base number is not the one that was chosen, or not before the number"
    ),
    "list-delta-freshest": Rule("RFC 5280, section 5.2.6", "a delta names no fresher list"),
    "list-distribution-point": Rule(
        "RFC 5280, section 5.2.5", "distribution point is not the partition's name alone"
    ),
    "list-parse": Rule("X.690", "cannot be parsed: {0}"),
    "answer-written": Rule("RFC 6960, section 4.2.1", "not the answer that was written"),
    "answer-questions": Rule("RFC 6960, section 4.2.1", "not one answer for each question"),
    "answer-times": Rule(
        "RFC 6960, section 4.2.2.1", "times out of order, or later than the responder's end"
    ),
    "answer-parse": Rule("X.690", "cannot be parsed: {0}"),
    "list-freshest": Rule("RFC 5280, section 5.2.6", "freshest list is not the one of this scope"),
    "list-entry-parse": Rule("RFC 5280, section 5.1.2.6", "entry cannot be parsed: {0}"),
    "list-entry-serial": Rule("RFC 5280, section 5.1.2.6", "entry names another serial"),
    "timestamp-written": Rule("RFC 3161, section 2.4.2", "not the TSTInfo that was written"),
    "timestamp-signature": Rule("RFC 3161, section 2.4.2", "the signature does not fit"),
    "timestamp-answer": Rule("RFC 3161, section 2.4.2", "not the answer that carries this token"),
    "timestamp-parse": Rule("X.690", "cannot be parsed: {0}"),
}


def fault(rule: str, found: object = "") -> str:
    """Write one finding: its id, what is wrong, and where the rule is written."""
    source, text = RULES[rule]
    return f"{rule}: {text.format(found)} ({source})"
