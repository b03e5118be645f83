"""The rules for what anybody made: a stable id for each, where it is written, and what a finding says.

What this CA itself signs is held to narrower rules, of `certificates.lint_rules`; a certificate that is
compared with a profile gets findings of both. An id never changes its meaning; none stands in both tables.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from onecert.ca.certificates.lint_rules import RULES, Rule
from onecert.server.languages import _, gettext

__all__ = ["GENERAL_RULES", "Finding", "finding_of_fault"]

_X509 = "RFC 5280, section "

GENERAL_RULES: Mapping[str, Rule] = {
    "file-unreadable": Rule("RFC 7468; X.690", _("neither certificate, list nor request: %(found)s")),
    "signed-algorithms-differ": Rule(
        f"{_X509}4.1.1.2; 5.1.1.2", _("the signature algorithm inside is not the one outside")
    ),
    "signed-weak-digest": Rule("NIST SP 800-131A, section 3", _("signed with %(found)s, which is broken")),
    "signed-by-another": Rule(f"{_X509}6.1.3", _("the signature is not one of the issuer's key")),
    "signed-issuer-name": Rule(f"{_X509}6.1.3", _("the issuer is not the name of the issuing certificate")),
    "signed-key-identifier": Rule(
        f"{_X509}4.2.1.1", _("the authority key identifier is not the issuer's subject key identifier")
    ),
    "signed-may-not": Rule(
        f"{_X509}4.2.1.3; 4.2.1.9", _("the issuer's certificate does not allow that: %(found)s")
    ),
    "default-encoded": Rule("X.690, section 11.5", _("a default value is written out: %(found)s")),
    "extension-twice": Rule(f"{_X509}4.2", _("the extension %(found)s stands there twice")),
    "extension-unreadable": Rule(f"{_X509}4.2", _("an extension cannot be read: %(found)s")),
    "extension-critical": Rule(f"{_X509}4.2", _("the extension %(found)s must be critical")),
    "extension-not-critical": Rule(f"{_X509}4.2", _("the extension %(found)s must not be critical")),
    "extension-absent": Rule(f"{_X509}4.2; 5.2", _("the extension %(found)s is missing")),
    "extension-empty": Rule(f"{_X509}4.2", _("the extension %(found)s says nothing")),
    "name-empty": Rule(f"{_X509}4.1.2.4", _("the name of the issuer is empty")),
    "name-string": Rule(f"{_X509}4.1.2.4", _("the attribute %(found)s has the wrong kind of string")),
    "name-alphabet": Rule(
        "X.680, section 41", _("the attribute %(found)s has characters that its kind of string does not know")
    ),
    "name-length": Rule(f"{_X509}A.1", _("the attribute %(found)s is empty or longer than allowed")),
    "name-country": Rule("ISO 3166-1", _("the country %(found)s is not two capital letters")),
    "time-form": Rule(
        f"{_X509}4.1.2.5; 5.1.2.4", _("the time %(found)s has not the form of its year, with seconds and “Z”")
    ),
    "key-unreadable": Rule(f"{_X509}4.1.2.7", _("the key cannot be read: %(found)s")),
    "key-weak": Rule("NIST SP 800-57, part 1", _("the private half can be found by others: %(found)s")),
    "key-printed": Rule("RFC 9500", _("the private half of the key is printed in a standard")),
    "key-usage-unfit": Rule(
        "RFC 3279; RFC 5480; RFC 8410; RFC 9881", _("a key of this kind cannot be used for %(found)s")
    ),
    "certificate-has-extensions": Rule(f"{_X509}4.1.2.1", _("version 3 and extensions go together")),
    "certificate-serial-range": Rule(
        f"{_X509}4.1.2.2", _("the serial is not a positive number of at most 20 octets")
    ),
    "certificate-validity-order": Rule(f"{_X509}4.1.2.5", _("it ends before it begins")),
    "certificate-validity-issuer": Rule(f"{_X509}6.1.3", _("it is valid before or after its issuer")),
    "certificate-subject-empty": Rule(
        f"{_X509}4.1.2.6", _("without a subject, a critical alternative name must say whose it is")
    ),
    "certificate-unique-identifier": Rule(
        f"{_X509}4.1.2.8", _("it has a unique identifier, which must not be used")
    ),
    "certificate-sign-without-authority": Rule(f"{_X509}4.2.1.9", _("keyCertSign is for authorities only")),
    "certificate-authority-without-sign": Rule(
        f"{_X509}4.2.1.3", _("an authority's key usage must say keyCertSign")
    ),
    "certificate-path-length": Rule(f"{_X509}4.2.1.9", _("a path length is for authorities only")),
    "certificate-policy-twice": Rule(f"{_X509}4.2.1.4", _("the policy %(found)s stands there twice")),
    "certificate-any-policy-mapped": Rule(f"{_X509}4.2.1.5", _("anyPolicy is mapped")),
    "certificate-only-authorities": Rule(
        f"{_X509}4.2.1.5; 4.2.1.10; 4.2.1.11", _("the extension %(found)s is for authorities only")
    ),
    "certificate-list-place": Rule(f"{_X509}4.2.1.13", _("a distribution point names no list")),
    "certificate-host-name": Rule(
        "RFC 5280, section 4.2.1.6; RFC 1034, section 3.5", _("“%(found)s” is no name of a host")
    ),
    "certificate-server-unnamed": Rule("RFC 9525, section 6.1", _("a TLS server has no alternative name")),
    "certificate-timestamp-purpose": Rule(
        "RFC 3161, section 2.3", _("timeStamping stands alone, and the extension is critical")
    ),
    "crl-version": Rule(f"{_X509}5.1.2.1", _("not version 2")),
    "crl-next-update": Rule(f"{_X509}5.1.2.5", _("the next update is missing or not after this update")),
    "crl-empty-entries": Rule(f"{_X509}5.1.2.6", _("no entries: then their list must be absent")),
    "crl-entry-twice": Rule(f"{_X509}5.3", _("the serial %(found)s stands there twice")),
    "crl-entry-unspecified": Rule(f"{_X509}5.3.1", _("the reason “unspecified” must be left out: %(found)s")),
    "crl-entry-removed": Rule(f"{_X509}5.3.1", _("removeFromCRL stands in delta lists only: %(found)s")),
    "crl-entry-unreadable": Rule(f"{_X509}5.3", _("an entry cannot be read: %(found)s")),
    "crl-number": Rule(f"{_X509}5.2.3", _("the number has more than 20 octets")),
    "crl-delta-base": Rule(
        f"{_X509}5.2.4", _("the number of the base is not before the number of the delta")
    ),
    "crl-delta-freshest": Rule(f"{_X509}5.2.6", _("a delta names no fresher list")),
    "crl-scope": Rule(f"{_X509}5.2.5", _("the distribution point says nothing, or excludes everything")),
    "request-version": Rule("RFC 2986, section 4.1", _("not version 1 of certificate requests")),
    "request-signature": Rule("RFC 2986, section 3", _("not signed with the key inside: %(found)s")),
    "request-password": Rule(
        "RFC 2985, section 5.4.1", _("it carries a challenge password, readable by everybody")
    ),
    "profile-key": Rule("the profile", _("the profile does not take this key: %(found)s")),
    "profile-contents": Rule("the profile", _("not what the profile says: %(found)s")),
}


@dataclass(frozen=True)
class Finding:
    """One rule that is broken; `found` is what was found, where the rule has a place for it."""

    rule: str
    found: str = ""

    @property
    def source(self) -> str:
        return (GENERAL_RULES.get(self.rule) or RULES[self.rule]).source

    @property
    def text(self) -> str:
        """What is wrong, in the reader's language where the rule is one for everybody."""
        rule = GENERAL_RULES.get(self.rule)
        if rule is None:
            return RULES[self.rule].text.format(self.found)
        return gettext(rule.text, found=self.found)

    def as_json(self) -> dict[str, str]:
        return {"rule": self.rule, "source": self.source, "text": self.text}


def finding_of_fault(fault: str) -> Finding:
    """Take apart a finding that the lint of our own certificates wrote."""
    rule, _colon, text = fault.partition(": ")
    before, place, after = RULES[rule].text.partition("{0}")
    text = text.removesuffix(f" ({RULES[rule].source})")
    return Finding(rule, text[len(before) : len(text) - len(after)] if place else "")
