"""The table `[certified]` of a ceremony file: another CA, and what our certificate for it will say.

Everything that the other side chose (name, key) is read from its request or certificate as it stands in the
file; its signature is checked. Everything that we say (policies, limits) is written in the file.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any

from cryptography import x509

from onecert.ca import der
from onecert.ca.authorities.terms import ANY_POLICY, AuthorityTerms, NameRange
from onecert.ca.ceremonies.plans import CertifiedPlan, is_name, number_of, read_subject_table
from onecert.ca.certificates.csr import check_request, load_request
from onecert.ca.certificates.draft import raw_subject
from onecert.ca.certificates.keys import check_key
from onecert.ca.certificates.names import ATTRIBUTES, read_subject, subject_der
from onecert.ca.errors import CaError
from onecert.ca.profiles.profile import Profile, resolved_profile
from onecert.ca.signatures.algorithms import spki_der
from onecert.ca.signatures.public_keys import key_of_certificate

__all__ = ["read_certified", "read_policies", "subject_fields"]

_KEYS = frozenset(
    {
        "name", "issuer", "request", "certificate", "validity_days", "path_length", "policies",
        "policy_mappings", "require_explicit_policy", "inhibit_policy_mapping", "inhibit_any_policy",
        "permitted", "excluded",
    }
)  # fmt: skip
_OID = re.compile(r"[0-2](\.(0|[1-9][0-9]{0,38})){1,31}", re.ASCII)
# RFC 5280, section 4.2.1.10: a host name, also with a leading full stop in practice for e-mail domains.
_HOST = re.compile(r"(?=.{1,253}$)[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*")
_MAILBOX = re.compile(r"[A-Za-z0-9._%+-]{1,64}@[a-z0-9.-]{1,253}", re.ASCII)
_SKIPS_MAX = 16


def read_certified(kind: str, data: Any, faults: list[str]) -> CertifiedPlan | None:
    """Read the table; None when it has faults, which are added to the others."""
    before = len(faults)
    if not isinstance(data, dict):
        faults.append("“certified” is a table")
        return None
    faults += [f"certified: unknown key “{key}”" for key in data if key not in _KEYS]
    for key in ("name", "issuer"):
        if not is_name(data.get(key)):
            faults.append(f"certified: “{key}” is small letters, digits, hyphens")
    profile = resolved_profile("cross")
    number = partial(number_of, data, table="certified", faults=faults)
    days = number("validity_days", profile.validity_days, (1, 36525))
    length = None
    if "path_length" in data:
        length = number("path_length", 0, (0, _SKIPS_MAX))
    elif kind == "subordinate":
        faults.append("certified: a subordinate CA needs “path_length”; 0 when it certifies holders only")
    source = _source(data, profile, faults)
    policies = read_policies("certified", data, faults)
    mappings = _mappings(data, policies, faults)
    permitted, excluded = (_ranges(data, key, profile, faults) for key in ("permitted", "excluded"))
    skips = {
        key: number(key, 0, (0, _SKIPS_MAX))
        for key in ("require_explicit_policy", "inhibit_policy_mapping", "inhibit_any_policy")
        if key in data
    }
    if kind == "cross" and not (permitted or excluded):
        # The other side certifies whom it will; a cross-certificate says for whom we vouch.
        faults.append("certified: a cross-certificate needs “permitted” or “excluded” names")
    if len(faults) > before or source is None:
        return None
    name_der, key_der, subject = source
    return CertifiedPlan(
        name=data["name"],
        issuer=data["issuer"],
        source=data.get("request", "") or data.get("certificate", ""),
        profile=replace(profile, validity_days=days, path_length=length, policies=policies),
        terms=AuthorityTerms(
            subject_der=name_der,
            policy_mappings=mappings,
            require_explicit_policy=skips.get("require_explicit_policy"),
            inhibit_policy_mapping=skips.get("inhibit_policy_mapping"),
            inhibit_any_policy=skips.get("inhibit_any_policy"),
            permitted=permitted,
            excluded=excluded,
        ),
        spki_der=key_der,
        subject=subject,
    )


def subject_fields(name_der: bytes) -> dict[str, str]:
    """Read a name as far as it has attributes that we know; for people, not for comparison."""
    fields = {field: value for field, _tag, value in read_subject(name_der) if field in ATTRIBUTES}
    return {field: fields[field] for field in ATTRIBUTES if field in fields}


def _source(
    data: Mapping[str, Any], profile: Profile, faults: list[str]
) -> tuple[bytes, bytes, dict[str, str]] | None:
    """Name and key of the other CA, DER, from its request or its certificate."""
    texts = [data[key] for key in ("request", "certificate") if key in data]
    if len(texts) != 1 or not isinstance(texts[0], str):
        faults.append("certified: has “request” or “certificate” of the other CA, PEM: one of them")
        return None
    try:
        if "request" in data:
            request = load_request(texts[0])
            key = check_request(request, profile.key_kinds)
            info = der.content_of(request.csr.tbs_certrequest_bytes)
            name_der, key_der = der.elements(info)[1][2], key.spki_der
        else:
            name_der, key_der = _of_certificate(texts[0], profile)
        subject = subject_fields(name_der)
    except (CaError, ValueError, TypeError) as exc:
        faults.append(f"certified: {exc}")
        return None
    if not subject.get("common_name") or not subject.get("organization"):
        faults.append("certified: the other CA's name needs an organisation and a common name")
        return None
    return name_der, key_der, subject


def _of_certificate(text: str, profile: Profile) -> tuple[bytes, bytes]:
    """Name and key of a CA certificate.

    Raises:
        ValueError: not one certificate of a CA. CaError: a key that we do not certify.
    """
    found = x509.load_pem_x509_certificates(text.encode("ascii"))
    if len(found) != 1:
        raise ValueError("“certificate” is one certificate")
    certificate = found[0]
    try:
        limits = certificate.extensions.get_extension_for_class(x509.BasicConstraints).value
        usage = certificate.extensions.get_extension_for_class(x509.KeyUsage).value
    except x509.ExtensionNotFound as exc:
        raise ValueError("“certificate” is not of a CA: basic constraints or key usage are missing") from exc
    if not limits.ca or not usage.key_cert_sign:
        raise ValueError("“certificate” is not of a CA")
    public_key = key_of_certificate(certificate)
    check_key(public_key, profile.key_kinds)
    return raw_subject(certificate.tbs_certificate_bytes), spki_der(public_key)


def _is_policy(value: object) -> bool:
    if not isinstance(value, str) or not _OID.fullmatch(value):
        return False
    try:
        return bool(der.oid(value))
    except der.DerError:
        return False


def read_policies(table: str, data: Mapping[str, Any], faults: list[str]) -> tuple[str, ...]:
    """Read the certificate policies of an authority."""
    policies = data.get("policies", [])
    if not isinstance(policies, list) or not policies or not all(_is_policy(each) for each in policies):
        faults.append(f"{table}: “policies” is a list of object identifiers, one at least")
        return ()
    if len(set(policies)) != len(policies):
        faults.append(f"{table}: a policy is there twice")
    return tuple(policies)


def _mappings(
    data: Mapping[str, Any], policies: tuple[str, ...], faults: list[str]
) -> tuple[tuple[str, str], ...]:
    entries = data.get("policy_mappings", [])
    shape = {"ours", "theirs"}
    if not isinstance(entries, list) or not all(
        isinstance(each, dict) and set(each) == shape and all(_is_policy(each[key]) for key in shape)
        for each in entries
    ):
        faults.append("certified: “policy_mappings” is a list of { ours = OID, theirs = OID }")
        return ()
    pairs = tuple((each["ours"], each["theirs"]) for each in entries)
    if any(ANY_POLICY in pair for pair in pairs):
        faults.append("certified: anyPolicy cannot be mapped (RFC 5280, section 4.2.1.5)")
    faults += [
        f"certified: “{ours}” is mapped but not among “policies”"
        for ours, _theirs in pairs
        if ours not in policies
    ]
    if len(set(pairs)) != len(pairs):
        faults.append("certified: a mapping is there twice")
    return pairs


def _ranges(data: Mapping[str, Any], key: str, profile: Profile, faults: list[str]) -> tuple[NameRange, ...]:
    table = data.get(key, {})
    if not isinstance(table, dict) or not all(isinstance(values, list) for values in table.values()):
        faults.append(f"certified: “{key}” has lists: dns, email, ip, dn")
        return ()
    ranges = []
    for form, values in table.items():
        if form not in {"dns", "email", "ip", "dn"}:
            faults.append(f"certified: “{key}” knows no “{form}”")
            continue
        for value in values:
            found = _range(form, value, profile, faults)
            if found is None:
                faults.append(f"certified: {key}.{form}: “{value}” is no name of that form")
            else:
                ranges.append(NameRange(form=form, value=found))
    return tuple(ranges)


def _range(form: str, value: Any, profile: Profile, faults: list[str]) -> str | None:
    if form == "dn":
        if not isinstance(value, dict) or not value or not set(value) <= set(profile.subject):
            return None
        free = replace(
            profile, subject={name: replace(rule, required=False) for name, rule in profile.subject.items()}
        )
        named = read_subject_table("certified", value, free, faults)
        return subject_der(named).hex() if named else None
    if not isinstance(value, str):
        return None
    match form:
        case "dns":
            return value if _HOST.fullmatch(value) else None
        case "email":
            plain = value.removeprefix(".")
            return value if _HOST.fullmatch(plain) or _MAILBOX.fullmatch(value) else None
    try:
        return str(ipaddress.ip_network(value))
    except ValueError:
        return None
