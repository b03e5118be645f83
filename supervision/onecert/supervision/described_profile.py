"""An identity profile in sentences: where this CA writes numbers, what they may be, what it may assert."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from onecert.server.languages import _, current_language, gettext
from onecert.verifier.errors import VerifyError
from onecert.verifier.identity.profile import ClassRule, IdentityProfile, Meaning, Source, parse_profile
from onecert.verifier.messages import message

__all__ = ["class_name", "id_type_name", "profile_lines"]

_ID_TYPES = {
    "uscc": _("unified social credit code"),
    "org": _("organisation code"),
    "regno": _("business registration number"),
    "tax": _("tax number"),
    "idcard": _("identity card number"),
    "passport": _("passport number"),
    "officer": _("officer's certificate number"),
}
_SUBJECTS = {"entity": _("of the legal entity"), "person": _("of the person")}
_ASSURANCE = {"low": _("low"), "substantial": _("substantial"), "high": _("high")}
_PLACES = {
    "2.5.4.3": "CN",
    "2.5.4.5": "serialNumber",
    "2.5.4.10": "O",
    "2.5.4.11": "OU",
    "2.5.4.97": "organizationIdentifier",
}


def profile_lines(profile: Mapping[str, Any]) -> tuple[str, ...]:
    """The lines; for a profile that cannot be read, the reason."""
    try:
        read = parse_profile(dict(profile))
    except VerifyError as exc:
        return (exc.text(current_language()),)
    return tuple(_lines(read))


def id_type_name(name: str) -> str:
    """A kind of number in the current language."""
    return gettext(_ID_TYPES[name]) if name in _ID_TYPES else name


def class_name(name: str) -> str:
    """A class of holders in the current language."""
    return message(f"CLASS_{name.upper()}", current_language())


def _lines(profile: IdentityProfile) -> Iterable[str]:
    yield gettext(_("%(name)s, version %(version)s"), name=profile.name, version=profile.version)
    for source in profile.sources:
        yield _source(source)
    for rule in profile.classes:
        yield _rule(rule)
    scope = profile.scope
    yield gettext(_("may assert: %(types)s"), types=_joined(map(id_type_name, sorted(scope.id_types))))
    yield gettext(_("for holders: %(classes)s"), classes=_joined(map(class_name, sorted(scope.classes))))
    if scope.entity_regions:
        yield gettext(_("legal entities of regions %(regions)s only"), regions=_joined(scope.entity_regions))
    if scope.person_regions:
        yield gettext(_("persons of regions %(regions)s only"), regions=_joined(scope.person_regions))
    yield gettext(
        _("a wrong check digit is refused") if profile.strict else _("a wrong check digit is only a warning")
    )
    if profile.test_ids:
        yield gettext(_("test numbers are accepted"))
    if profile.login_without_key_usage:
        yield gettext(_("certificates without key usage may log in"))


def _source(source: Source) -> str:
    place = _PLACES.get(source.oid, source.oid)
    where = _("extension %(place)s") if source.kind == "extension" else _("subject attribute %(place)s")
    parts = [gettext(where, place=place)]
    parts += [_meaning(key, meaning) for key, meaning in source.meanings.items()]
    parts.append(gettext(_("required") if source.required else _("optional")))
    details = [source.grammar, *(form.value for form in source.forms), *source.ca_codes]
    if source.country:
        details.append(source.country)
    return gettext(_("; ")).join(parts) + f" ({', '.join(details)})"


def _meaning(key: str, meaning: Meaning) -> str:
    text = gettext(
        _("%(types)s %(subject)s"),
        types=gettext(_(" or ")).join(id_type_name(each.value) for each in meaning.id_types),
        subject=gettext(_SUBJECTS[meaning.subject.value]),
    )
    return text if key == "0" else f"{key} = {text}"


def _rule(rule: ClassRule) -> str:
    if rule.policy is not None:
        how = gettext(_("policy %(policy)s"), policy=rule.policy)
    elif rule.extension is not None:
        how = gettext(_("extension %(place)s says %(value)s"), place=rule.extension, value=rule.value)
    else:
        subject = gettext(_SUBJECTS[rule.claims.value if rule.claims else "entity"])
        how = gettext(_("a number %(subject)s"), subject=subject)
    name, assurance = class_name(rule.holder_class.value), gettext(_ASSURANCE[rule.assurance])
    return gettext(
        _("%(holder)s when: %(how)s; assurance %(assurance)s"), holder=name, how=how, assurance=assurance
    )


def _joined(values: Iterable[str]) -> str:
    return gettext(_(", ")).join(values)
