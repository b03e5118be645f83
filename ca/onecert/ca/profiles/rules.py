"""What must go together in a profile: the standards' rules, checked before any certificate is made from it.

Each rule names its source. The form of the single values is `profile_schema.py`'s matter.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from onecert.ca.certificates.identity import VALUES, IdentityForm
from onecert.ca.certificates.names import ATTRIBUTES, check_value
from onecert.ca.errors import CaError
from onecert.ca.profiles.data import Profile
from onecert.server.languages import Sentence, _

__all__ = ["find_rule_faults"]

SIGNING = frozenset({"digitalSignature", "nonRepudiation"})
ENCIPHERING = frozenset({"keyEncipherment", "dataEncipherment", "keyAgreement"})
# RFC 5280, section 4.2.1.12: a purpose is consistent with some of these key usages.
CONSISTENT: Mapping[str, frozenset[str]] = {
    "serverAuth": frozenset({"digitalSignature", "keyEncipherment", "keyAgreement"}),
    "clientAuth": frozenset({"digitalSignature", "keyAgreement"}),
    "codeSigning": frozenset({"digitalSignature"}),
    "emailProtection": SIGNING | {"keyEncipherment", "keyAgreement"},
    "timeStamping": SIGNING,
    "OCSPSigning": SIGNING,
}
# What names the holder of each kind; see `identity.entity_of`.
NAMED_BY: Mapping[str, frozenset[str]] = {
    "organisation": frozenset({"uscc"}),
    "employee": frozenset({"uscc", "idcard"}),
    "device": frozenset({"uscc"}),
}
PERSON_NUMBERS = ("idcard", "passport", "officer")
NO_CHECK_DAYS_MAX = 397
STANDARD_ARCS = ("2.5.29.", "1.3.6.1.5.5.7.")
UTF8, IA5 = "utf8", "ia5"  # the other syntaxes are PrintableString


def find_rule_faults(profile: Profile) -> list[Sentence]:
    """Name every rule that a profile of right form breaks."""
    return [fault for rule in _RULES for fault in rule(profile)]


def _authority(profile: Profile) -> Iterator[Sentence]:
    if (profile.holder == "authority") != profile.is_authority:
        yield Sentence(_("“is_authority” and the holder “authority” go together"))
    if profile.is_authority != ("keyCertSign" in profile.key_usage):
        yield Sentence(_("“keyCertSign” is for authorities, and they need it (RFC 5280, 4.2.1.3)"))
    if profile.path_length is not None and not profile.is_authority:
        yield Sentence(_("“path_length” is for authorities (RFC 5280, 4.2.1.9)"))
    if profile.is_authority and profile.extended_key_usage:
        yield Sentence(_("an authority has no “extended_key_usage” here"))


def _purposes(profile: Profile) -> Iterator[Sentence]:
    usage, purposes = frozenset(profile.key_usage), profile.extended_key_usage
    for purpose in purposes:
        if not usage & CONSISTENT[purpose]:
            yield Sentence(
                _("“%(purpose)s” needs a key usage of %(usages)s (RFC 5280, 4.2.1.12)"),
                purpose=purpose, usages=", ".join(sorted(CONSISTENT[purpose])),
            )  # fmt: skip
    for purpose, source in (("timeStamping", "RFC 3161, 2.3"), ("OCSPSigning", "RFC 6960, 4.2.2.2")):
        if purpose in purposes and (len(purposes) > 1 or not usage <= SIGNING):
            yield Sentence(_("“%(purpose)s” stands alone (%(source)s)"), purpose=purpose, source=source)
    if "serverAuth" in purposes and not profile.alternative_names:
        yield Sentence(_("“serverAuth” needs “alternative_names” (RFC 9525, 6.1)"))


def _responder(profile: Profile) -> Iterator[Sentence]:
    if profile.ocsp_no_check and profile.extended_key_usage != ("OCSPSigning",):
        yield Sentence(_("“ocsp_no_check” is for OCSP responders (RFC 6960, 4.2.2.2.1)"))
    if profile.ocsp_no_check and profile.longest_days > NO_CHECK_DAYS_MAX:
        yield Sentence(
            _("with “ocsp_no_check” a certificate lives at most %(days)s days (RFC 6960, 4.2.2.2.1)"),
            days=NO_CHECK_DAYS_MAX,
        )
    if profile.freshest_crl and not profile.status_pointers:
        yield Sentence(_("“freshest_crl” needs “status_pointers”"))
    if not (profile.status_pointers or profile.ocsp_no_check or profile.is_authority):
        yield Sentence(_("a certificate without “status_pointers” could not be revoked for anybody"))


def _usages_by_key(profile: Profile) -> Iterator[Sentence]:
    usage = frozenset(profile.key_usage)
    for kind in profile.key_kinds:
        # RFC 3279, 2.3.1; RFC 5480, 3; RFC 8410, 5; RFC 9881, 4. GB/T 20518 lets an SM2 key do everything.
        if kind.startswith("rsa-"):
            bad = usage & {"keyAgreement"}
        elif kind.startswith("p-"):
            bad = usage & {"keyEncipherment", "dataEncipherment"}
        elif kind == "sm2":
            bad = frozenset()
        else:
            bad = usage & ENCIPHERING
        if bad:
            yield Sentence(
                _("keys of the kind “%(kind)s” cannot do %(usages)s"),
                kind=kind,
                usages=", ".join(sorted(bad)),
            )
    if profile.holder in {*NAMED_BY, "citizen"} and usage & SIGNING and usage & ENCIPHERING:
        yield Sentence(_("a holder signs and enciphers with two different keys (GB/T 20518)"))


def _subject(profile: Profile) -> Iterator[Sentence]:
    if not profile.subject.get("common_name") or not profile.subject["common_name"].required:
        yield Sentence(_("the subject needs “common_name”, required (RFC 5280, 4.1.2.6)"))
    for field, rule in profile.subject.items():
        attribute = ATTRIBUTES[field]
        if rule.max_length > attribute.upper_bound:
            yield Sentence(
                _("“%(key)s” has at most %(high)s characters (RFC 5280, appendix A)"),
                key=f"subject.{field}", high=attribute.upper_bound,
            )  # fmt: skip
        if attribute.printable and rule.alphabet == "name":
            yield Sentence(
                _("“%(key)s” is a PrintableString; its alphabet is too large"), key=f"subject.{field}"
            )
        if rule.fixed is not None:
            try:
                check_value(field, rule.fixed, rule)
            except CaError:
                yield Sentence(_("“%(key)s” breaks its own rule"), key=f"subject.{field}.fixed")


def _holder(profile: Profile) -> Iterator[Sentence]:
    required = profile.identity_required
    for value in sorted(NAMED_BY.get(profile.holder, frozenset()) - set(required)):
        yield Sentence(
            _("a holder of the kind “%(holder)s” needs “%(value)s” in “identity_required”"),
            holder=profile.holder, value=value,
        )  # fmt: skip
    if profile.holder == "citizen" and not set(required) & set(PERSON_NUMBERS):
        yield Sentence(_("a citizen needs a number of a person in “identity_required”"))
    if profile.holder == "system" and (required or profile.identity_forms):
        yield Sentence(_("systems have no identity numbers"))
    for value in sorted({*required} & {*profile.identity_optional}):
        yield Sentence(_("“%(value)s” is either required or optional"), value=value)


def _identity(profile: Profile) -> Iterator[Sentence]:
    if profile.is_authority:
        return
    carried = [form.value for form in profile.identity_forms]
    for value in profile.identity_required:
        if value not in carried:
            yield Sentence(_("no extension carries “%(value)s”"), value=value)
    for value in sorted({*carried} - {*profile.identity_required, *profile.identity_optional, "class"}):
        yield Sentence(_("an extension carries “%(value)s”, which no order may give"), value=value)
    oids = [form.oid for form in profile.identity_forms]
    for oid in sorted(set(oids)):
        if oids.count(oid) > 1:
            yield Sentence(_("two extensions have the type %(oid)s (RFC 5280, 4.2)"), oid=oid)
        if oid.startswith(STANDARD_ARCS):
            yield Sentence(_("%(oid)s has a meaning of its own (RFC 5280)"), oid=oid)
    for form in profile.identity_forms:
        yield from _form(form)


def _form(form: IdentityForm) -> Iterator[Sentence]:
    if form.uid and (not form.code or not form.type):
        yield Sentence(_("the grammar needs a “code” of 4 and a “type” of 2 characters"))
    if not form.uid and (form.code or form.type or form.base64):
        yield Sentence(_("“code”, “type” and “base64” belong to “uid”"))
    if (form.value == "class") != bool(form.text) or (form.value == "class" and form.uid):
        yield Sentence(_("“text” is the constant of a “class” extension, which has no grammar"))
    if form.syntax != UTF8 and not form.text.isascii():
        yield Sentence(_("“text” does not fit the syntax “%(syntax)s”"), syntax=form.syntax)
    if form.uid and form.syntax not in {UTF8, IA5}:
        # PrintableString has no @ (X.680, section 41.4).
        yield Sentence(_("the grammar of the unique entity identifier needs the syntax “utf8” or “ia5”"))


_RULES: tuple[Callable[[Profile], Iterator[Sentence]], ...] = (
    _authority, _purposes, _responder, _usages_by_key, _subject, _holder, _identity,
)  # fmt: skip

# Everything that an order may carry is a number of somebody.
assert set(PERSON_NUMBERS) < set(VALUES)  # noqa: S101 - at import, once
