"""The form of profiles: the published schema, the reader that checks against it, the standards' rules."""

from __future__ import annotations

import copy
import json
from importlib.resources import files
from typing import Any

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from onecert.ca.profiles.profile import (
    packaged_profile,
    packaged_profile_names,
    profile_from_json,
    read_profile,
)
from onecert.ca.profiles.schema import find_form_faults, profile_schema
from onecert.server.languages import gettext, set_language

SCHEMA = profile_schema()
VALIDATOR = jsonschema.Draft202012Validator(SCHEMA)
IDENTITY = {"oid": "1.2.156.10260.4.1.4", "value": "uscc", "syntax": "printable"}


def organisation(**changes: Any) -> dict[str, Any]:
    """The profile of an organisation of one authority; None takes a key away."""
    data = packaged_profile("organisation") or {}
    data |= {"identity": [IDENTITY], "policies": ["1.2.156.1"]} | changes
    return {key: value for key, value in data.items() if value is not None}


def faults_of(data: object) -> str:
    profile, faults = read_profile(data)
    assert (profile is None) == bool(faults)
    return "; ".join(map(str, faults))


def test_the_published_schema_is_the_one_of_the_code() -> None:
    """When this fails: onecert ca profile schema > ca/onecert/ca/profiles/profile.schema.json."""
    published = (files("onecert.ca") / "profiles" / "profile.schema.json").read_text(encoding="utf-8")
    assert json.loads(published) == SCHEMA
    jsonschema.Draft202012Validator.check_schema(SCHEMA)


@pytest.mark.parametrize("name", packaged_profile_names())
def test_every_packaged_profile_has_the_form(name: str) -> None:
    data = packaged_profile(name)
    assert find_form_faults(data) == []
    VALIDATOR.validate(data)


# What a hand, or an enemy, may put anywhere.
_ODD = st.one_of(
    st.none(), st.booleans(), st.integers(-5, 10**12), st.floats(allow_nan=False), st.text(max_size=70),
    st.lists(st.sampled_from(["p-256", "uscc", 1, True, {}]), max_size=3),
    st.dictionaries(st.sampled_from(["zh", "en", "required", "oid", "x"]), st.booleans(), max_size=2),
    st.sampled_from(["1.2.156.1", "3.1", "p-256", "ocsp\n", "电", "\u202e", "organisation"]),
)  # fmt: skip


@settings(max_examples=400, deadline=None)
@given(st.data())
def test_the_reader_and_any_other_validator_agree(data: st.DataObject) -> None:
    """One value anywhere in a good profile is replaced, added or taken away."""
    profile = copy.deepcopy(organisation(path_length=0, extended_key_usage=["clientAuth"]))
    place = data.draw(st.sampled_from([profile, profile["subject"]["country"], profile["identity"][0]]))
    kind = data.draw(st.sampled_from(["set", "take away", "append"]))
    if kind == "append":
        lists = [key for key, value in place.items() if isinstance(value, list)] or [next(iter(place))]
        key = data.draw(st.sampled_from(lists))
        place[key] = [*place[key], data.draw(_ODD)] if isinstance(place[key], list) else data.draw(_ODD)
    else:
        known = [*SCHEMA["properties"], "max_length", "alphabet", "fixed", "syntax", "uid", "code", "mystery"]
        key = data.draw(st.sampled_from(known))
        if kind == "set":
            place[key] = data.draw(_ODD)
        else:
            place.pop(key, None)
    assert bool(find_form_faults(profile)) == (not VALIDATOR.is_valid(profile))


@settings(max_examples=100, deadline=None)
@given(_ODD)
def test_whatever_comes_gets_an_answer(anything: object) -> None:
    assert faults_of(anything)


def test_canonical_form_comes_back_the_same() -> None:
    for changes in (
        {},
        {"validity_days": None, "validity_months": 18, "backdate_minutes": 5, "clip_to_issuer": True},
        {"validity_days": None, "validity_years": 3},
    ):
        profile, faults = read_profile(organisation(**changes))
        assert profile is not None, faults
        assert profile_from_json(profile.as_json()) == profile


def test_years_are_twelve_months_each() -> None:
    profile, _faults = read_profile(organisation(validity_days=None, validity_years=3))
    assert profile is not None
    assert (profile.validity_days, profile.validity_months) == (0, 36)


def test_what_profiles_could_not_say_at_the_first_ceremonies_does_not_change_their_hash() -> None:
    profile, _faults = read_profile(organisation())
    assert profile is not None
    assert not {"validity_months", "backdate_minutes", "clip_to_issuer"} & set(json.loads(profile.as_json()))


FORM_FAULTS: dict[str, tuple[dict[str, Any], str]] = {
    "unknown key": ({"surprise": 1}, "unknown key “surprise”"),
    "missing": ({"title": None}, "“title” is missing"),
    "no term": ({"validity_days": None}, "exactly one of"),
    "two terms": ({"validity_months": 12}, "exactly one of"),
    "truth as a number": ({"version": True}, "“version” is a whole number"),
    "number as a text": ({"version": "1"}, "“version” is a whole number"),
    "version too small": ({"version": 0}, "from 1 to"),
    "text as a list": ({"key_kinds": "p-256"}, "“key_kinds” is a list"),
    "no key at all": ({"key_kinds": []}, "“key_kinds” has 1 to"),
    "unknown kind": ({"key_kinds": ["rsa-512"]}, "rsa-512"),
    "twice the same": ({"policies": ["1.2.3", "1.2.3"]}, "says something twice"),
    "policy": ({"policies": ["1.2.x"]}, "policies[1]"),
    "backdated by an hour": ({"backdate_minutes": 60}, "from 0 to 30"),
    "title with a line": ({"title": {"zh": "机构\n证书", "en": "x"}}, "title.zh"),
    "title that turns around": ({"title": {"zh": "机构", "en": "x\u202ey"}}, "title.en"),
    "long title": ({"title": {"zh": "机" * 65, "en": "x"}}, "title.zh"),
    "subject": ({"subject": {"nickname": {}}}, "subject.nickname"),
    "identity": ({"identity": [{"oid": "1.2.3"}]}, "identity[1].value"),
    "long key": ({"k" * 5000: 1}, "k" * 80 + "…"),
}


@pytest.mark.parametrize("name", FORM_FAULTS)
def test_form_fault_is_named(name: str) -> None:
    changes, fault = FORM_FAULTS[name]
    assert fault in faults_of(organisation(**changes))


NAME = {"common_name": {"required": True}}
RULE_FAULTS: dict[str, tuple[dict[str, Any], str]] = {
    "a holder that certifies": ({"key_usage": ["keyCertSign"]}, "RFC 5280, 4.2.1.3"),
    "a holder that is an authority": ({"is_authority": True}, "go together"),
    "a path length for a holder": ({"path_length": 0}, "RFC 5280, 4.2.1.9"),
    "purpose without its usage": ({"key_usage": ["nonRepudiation"]}, "RFC 5280, 4.2.1.12"),
    "timestamps and more": ({"extended_key_usage": ["timeStamping", "clientAuth"]}, "RFC 3161, 2.3"),
    "responder and more": ({"extended_key_usage": ["OCSPSigning", "clientAuth"]}, "RFC 6960, 4.2.2.2"),
    "never checked": ({"ocsp_no_check": True}, "RFC 6960, 4.2.2.2.1"),
    "server without names": ({"extended_key_usage": ["serverAuth"]}, "RFC 9525"),
    "delta without pointers": ({"freshest_crl": True, "status_pointers": False}, "freshest_crl"),
    "no status at all": ({"status_pointers": False}, "could not be revoked"),
    "signs and enciphers": ({"key_usage": ["digitalSignature", "keyEncipherment"]}, "GB/T 20518"),
    "P-256 that enciphers": ({"key_usage": ["keyEncipherment"]}, "“p-256” cannot do keyEncipherment"),
    "RSA that agrees": ({"key_usage": ["keyAgreement"]}, "“rsa-2048” cannot do keyAgreement"),
    "nameless": ({"subject": {"country": {}}}, "4.1.2.6"),
    "too long for X.520": ({"subject": NAME | {"title": {"max_length": 128}}}, "appendix A"),
    "wide alphabet": ({"subject": NAME | {"serial_number": {}}}, "PrintableString"),
    "fixed against itself": ({"subject": NAME | {"title": {"fixed": "aé\u0301"}}}, "own rule"),
    "organisation without a code": ({"identity_required": []}, "“organisation” needs “uscc”"),
    "nothing carries it": ({"identity": []}, "no extension carries “uscc”"),
    "required and optional": ({"identity_optional": ["uscc"]}, "either required or optional"),
    "carries what is never given": (
        {"identity": [IDENTITY, IDENTITY | {"oid": "1.2.9", "value": "passport"}]}, "passport",
    ),
    "two of one type": ({"identity": [IDENTITY, IDENTITY]}, "two extensions"),
    "of a standard": ({"identity": [IDENTITY | {"oid": "2.5.29.17"}]}, "meaning of its own"),
    "grammar without code": ({"identity": [IDENTITY | {"uid": True, "syntax": "utf8"}]}, "grammar needs"),
    "code without grammar": ({"identity": [IDENTITY | {"code": "0006"}]}, "belong to “uid”"),
    "text without class": ({"identity": [IDENTITY | {"text": "x"}]}, "“class”"),
    "class in Han characters": (
        {"identity": [IDENTITY, {"oid": "1.2.9", "value": "class", "syntax": "ia5", "text": "机构"}]}, "ia5",
    ),
    "@ in a PrintableString": (
        {"identity": [IDENTITY | {"uid": True, "code": "0006", "type": "ZZ"}]}, "utf8",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", RULE_FAULTS)
def test_rule_fault_is_named_in_both_languages(name: str) -> None:
    changes, fault = RULE_FAULTS[name]
    data = organisation(**changes)
    assert fault in faults_of(data)
    with set_language("zh", "onecert.ca"):
        spoken = [gettext("%(fault)s", fault=each) for each in read_profile(data)[1]]
    assert all(any("\u4e00" <= character <= "\u9fff" for character in text) for text in spoken), spoken
