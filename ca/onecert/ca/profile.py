"""Profiles: what one kind of certificate must look like, as versioned data.

A profile is a TOML file in `profiles/` (the shape common to all authorities) together with what one authority
adds in its ceremony file (its identity forms and policies). Both are resolved once, at the ceremony, and
kept in the database with their hash; an order is frozen to that version.
"""

from __future__ import annotations

import hashlib
import json
import tomllib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from datetime import timedelta
from functools import cached_property
from importlib.resources import files
from typing import Any

from onecert.ca.errors import CeremonyFileError
from onecert.ca.identity import SYNTAXES, VALUES, IdentityForm
from onecert.ca.names import ALPHABETS, ATTRIBUTES, SubjectRule

HOLDERS = ("organisation", "employee", "citizen", "system", "authority")
KEY_KINDS = ("rsa-2048", "rsa-3072", "rsa-4096", "p-256", "p-384", "ed25519")

# RFC 5280, section 4.2.1.3: the bit of each key usage.
KEY_USAGE_BITS: Mapping[str, int] = {
    "digitalSignature": 0,
    "nonRepudiation": 1,
    "keyEncipherment": 2,
    "dataEncipherment": 3,
    "keyAgreement": 4,
    "keyCertSign": 5,
    "cRLSign": 6,
}
# RFC 5280, section 4.2.1.12.
EXTENDED_KEY_USAGE_OIDS: Mapping[str, str] = {
    "serverAuth": "1.3.6.1.5.5.7.3.1",
    "clientAuth": "1.3.6.1.5.5.7.3.2",
    "codeSigning": "1.3.6.1.5.5.7.3.3",
    "emailProtection": "1.3.6.1.5.5.7.3.4",
    "timeStamping": "1.3.6.1.5.5.7.3.8",
    "OCSPSigning": "1.3.6.1.5.5.7.3.9",
}


@dataclass(frozen=True, kw_only=True)
class Profile:
    """One kind of certificate of one authority, at one version. The README describes each key."""

    name: str
    version: int
    holder: str
    title_zh: str
    title_en: str
    validity_days: int
    key_kinds: tuple[str, ...]
    subject: Mapping[str, SubjectRule]
    key_usage: tuple[str, ...]
    extended_key_usage: tuple[str, ...] = ()
    is_authority: bool = False
    path_length: int | None = None
    alternative_names: bool = False
    status_pointers: bool = True
    freshest_crl: bool = False
    ocsp_no_check: bool = False
    identity_required: tuple[str, ...] = ()
    identity_optional: tuple[str, ...] = ()
    policies: tuple[str, ...] = ()
    identity_forms: tuple[IdentityForm, ...] = field(default=())

    @property
    def validity(self) -> timedelta:
        """From notBefore to notAfter. notAfter is inclusive (RFC 5280, 4.1.2.5), so one second less."""
        return timedelta(days=self.validity_days) - timedelta(seconds=1)

    @property
    def extended_key_usage_critical(self) -> bool:
        """RFC 3161, section 2.3: timeStamping stands alone and is critical."""
        return self.extended_key_usage == ("timeStamping",)

    def as_json(self) -> str:
        """Write the whole profile in one canonical form: sorted keys, no blanks."""
        data = asdict(self)
        # Profiles of before keep their hash: what they could not say yet is not said.
        if not self.freshest_crl:
            del data["freshest_crl"]
        return json.dumps(data, ensure_ascii=False, sort_keys=True, separators=(",", ":"))

    @cached_property
    def sha256(self) -> str:
        return hashlib.sha256(self.as_json().encode()).hexdigest()


def profile_from_json(text: str) -> Profile:
    """Read what `Profile.as_json` wrote."""
    data: dict[str, Any] = json.loads(text)
    data["subject"] = {name: SubjectRule(**rule) for name, rule in data["subject"].items()}
    data["identity_forms"] = tuple(IdentityForm(**form) for form in data["identity_forms"])
    return Profile(**_with_tuples(data))


def _with_tuples(data: Mapping[str, Any]) -> dict[str, Any]:
    return {name: tuple(value) if isinstance(value, list) else value for name, value in data.items()}


def packaged_profile(name: str) -> dict[str, Any] | None:
    """Read one of the profile files that come with the CA; None when there is none of that name."""
    path = files("onecert.ca") / "profiles" / f"{name}.toml"
    return tomllib.loads(path.read_text(encoding="utf-8")) if path.is_file() else None


def packaged_profile_names() -> list[str]:
    """List the profiles that come with the CA."""
    folder = files("onecert.ca") / "profiles"
    return sorted(
        entry.name.removesuffix(".toml") for entry in folder.iterdir() if entry.name.endswith(".toml")
    )


def resolved_profile(name: str, additions: Mapping[str, Any] | None = None) -> Profile:
    """Combine a packaged profile with what an authority adds: `policies` and `identity` forms.

    Raises:
        CeremonyFileError: with every fault of both files.
    """
    data = packaged_profile(name)
    if data is None:
        raise CeremonyFileError([f"there is no profile “{name}”"])
    data.update({key: value for key, value in (additions or {}).items() if key != "name"})
    return profile_from_data(data)


def profile_from_data(data: Mapping[str, Any]) -> Profile:
    """Check the data of a profile and build it.

    Raises:
        CeremonyFileError: with every fault.
    """
    name = data.get("name", "?")
    known = {entry.name for entry in fields(Profile)} - {"identity_forms", "title_zh", "title_en"} | {
        "identity",
        "title",
    }
    faults = [f"profile “{name}”: unknown key “{key}”" for key in data if key not in known]
    faults += _faults_of_values(name, data)
    rules, rule_faults = _subject_rules(name, data.get("subject", {}))
    forms, form_faults = _identity_forms(name, data.get("identity", []))
    faults += rule_faults + form_faults
    needed = ("version", "holder", "title", "validity_days", "key_kinds", "subject", "key_usage")
    faults += [f"profile “{name}”: “{key}” is missing" for key in needed if key not in data]
    carried = {form.value for form in forms}
    faults += [
        f"profile “{name}”: no extension carries “{value}”"
        for value in data.get("identity_required", ())
        if value not in carried
    ]
    if faults:
        raise CeremonyFileError(faults)
    # What no extension of this authority carries is not asked for and not accepted.
    data = {**data, "identity_optional": [v for v in data.get("identity_optional", ()) if v in carried]}
    plain = _with_tuples({k: v for k, v in data.items() if k not in {"subject", "identity", "title"}})
    title = data["title"]
    return Profile(
        **plain, title_zh=title["zh"], title_en=title["en"], subject=rules, identity_forms=tuple(forms)
    )


def _faults_of_values(name: str, data: Mapping[str, Any]) -> list[str]:
    faults = []
    if data.get("holder") not in HOLDERS:
        faults.append(f"profile “{name}”: “holder” is one of {', '.join(HOLDERS)}")
    if not isinstance(data.get("version"), int) or data["version"] < 1:
        faults.append(f"profile “{name}”: “version” is a number from 1")
    if not isinstance(data.get("validity_days"), int) or not 1 <= data["validity_days"] <= 36525:
        faults.append(f"profile “{name}”: “validity_days” is a number from 1 to 36525")
    if data.get("freshest_crl") and not data.get("status_pointers", True):
        faults.append(f"profile “{name}”: “freshest_crl” needs “status_pointers”")
    if set(data.get("title", {})) != {"zh", "en"}:
        faults.append(f"profile “{name}”: “title” has “zh” and “en”")
    for key, allowed in (
        ("key_kinds", KEY_KINDS),
        ("key_usage", tuple(KEY_USAGE_BITS)),
        ("extended_key_usage", tuple(EXTENDED_KEY_USAGE_OIDS)),
        ("identity_required", tuple(VALUES)),
        ("identity_optional", tuple(VALUES)),
    ):
        faults += [
            f"profile “{name}”: “{key}” knows no “{entry}”"
            for entry in data.get(key, ())
            if entry not in allowed
        ]
    return faults


def _subject_rules(name: str, data: Mapping[str, Any]) -> tuple[dict[str, SubjectRule], list[str]]:
    rules, faults = {}, []
    for attribute, rule in data.items():
        if attribute not in ATTRIBUTES:
            faults.append(f"profile “{name}”: a subject has no “{attribute}”")
            continue
        try:
            rules[attribute] = SubjectRule(**rule)
        except TypeError:
            faults.append(f"profile “{name}”: unknown key in “subject.{attribute}”")
            continue
        if rules[attribute].alphabet not in ALPHABETS:
            faults.append(f"profile “{name}”: no alphabet “{rules[attribute].alphabet}”")
    return rules, faults


def _identity_forms(name: str, data: list[Mapping[str, Any]]) -> tuple[list[IdentityForm], list[str]]:
    forms, faults = [], []
    for entry in data:
        try:
            form = IdentityForm(**entry)
        except TypeError:
            faults.append(f"profile “{name}”: unknown or missing key in “identity”")
            continue
        if form.syntax not in SYNTAXES:
            faults.append(f"profile “{name}”: no identity syntax “{form.syntax}”")
        if form.value not in VALUES and form.value != "class":
            faults.append(f"profile “{name}”: no identity value “{form.value}”")
        if form.uid and (len(form.code) != 4 or len(form.type) != 2 or not form.code.isalnum()):
            faults.append(f"profile “{name}”: the grammar needs a “code” of 4 and a “type” of 2 characters")
        forms.append(form)
    return forms, faults
