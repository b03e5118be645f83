"""Rows of the corpus about its use: time, holder, target, status; and good ones of every kind."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator

from corpus_encrypted import ENCRYPTED_TO
from corpus_keys import integer, oid, tlv
from corpus_row import Row, changed, made
from corpus_world import (
    APPROVER,
    AUDIT,
    CLERK,
    DAY,
    ENCRYPTED,
    GROUP,
    HELD,
    HOUR,
    NO_REVOCATION,
    POINTS,
    REVOKED,
    ROLE,
    TARGETS,
    T,
    attribute,
    base_id,
    digest_info,
    directory,
    extension,
    name,
    parties,
    role,
    validity,
)

URI_HERE = "urn:onecert:service:tax"


def use_rows() -> Iterator[Row]:
    """In the order of the verifier's walk."""
    for section in (_periods, _holders, _targets, _status, _good, _dropped):
        yield from section()


def _periods() -> Iterator[Row]:
    source = "RFC 5755, section 4.2.6"
    past, future = validity(T - 2 * DAY, T - DAY), validity(T + DAY, T + 2 * DAY)
    local = {"kind": "local"}
    yield changed("period-expired", "EXPIRED", "it has not ended", source, local, validity=past)
    yield changed("period-future", "NOT_YET_VALID", "it has begun", source, local, validity=future)
    yield changed("period-last-second", "", "the last second counts", source, validity=validity(T - DAY, T))
    yield changed("period-first-second", "", "the first second counts", source, validity=validity(T, T + DAY))


# ---------------------------------------------------------------------- holder, target, status


def _holders() -> Iterator[Row]:
    source = "RFC 5755, section 4.2.2"
    people = parties()
    own, other = people["holder"], people["holder-other"]
    sha1 = hashlib.sha1(own.der, usedforsecurity=False).digest()
    wrong: dict[str, tuple[bytes, str, str]] = {
        "empty": (b"", "an empty holder is nobody", "forbidden"),
        "serial": (base_id(own, serial=0x7FF), "the serial number is that of the holder", "local"),
        "issuer": (base_id(own, issuer=name("另一家CA")), "the issuer is that of the holder", "local"),
        "two-issuers": (base_id(own, more=directory(name("另一家CA"))), "one issuer", "forbidden"),
        "issuer-dns": (
            tlv(0xA0, tlv(0x30, tlv(0x82, b"ca.example")), integer(own.serial)),
            "the issuer is a directory name",
            "forbidden",
        ),
        "issuer-empty": (base_id(own, issuer=b"\x30\x00"), "the issuer's name is not empty", "forbidden"),
        "issuer-uid": (
            tlv(0xA0, tlv(0x30, directory(own.issuer)), integer(own.serial), tlv(0x03, b"\x00\x01")),
            "issuerUID is that of the holder's certificate",
            "local",
        ),
        "name": (tlv(0xA1, directory(other.name)), "the name is that of the holder", "local"),
        "name-empty": (tlv(0xA1, directory(b"\x30\x00")), "an empty name is nobody", "forbidden"),
        "name-entity": (
            tlv(0xA1, tlv(0x86, b"urn:onecert:entity:uscc:91440300MA5DEM004J")),
            "the entity was verified",
            "local",
        ),
        "digest": (
            digest_info(1, hashlib.sha256(other.der).digest()),
            "the digest is that of the holder",
            "local",
        ),
        "digest-key": (
            digest_info(0, hashlib.sha256(own.der).digest()),
            "the digest is one of the key",
            "local",
        ),
        "digest-sha1": (digest_info(1, sha1, "1.3.14.3.2.26"), "the digest is not SHA-1", "local"),
        "digest-other": (
            digest_info(2, hashlib.sha256(own.der).digest(), other=oid("1.2.3")),
            "otherObjectTypes must not be used",
            "forbidden",
        ),
        "two-forms": (
            base_id(own) + tlv(0xA1, directory(other.name)),
            "each form that is given is right",
            "local",
        ),
        "two-digests": (
            base_id(own) + digest_info(1, hashlib.sha256(other.der).digest()),
            "each form that is given is right",
            "local",
        ),
    }
    for slug, (holder, rule, kind) in wrong.items():
        section = "RFC 5755, section 7.3" if "digest" in slug else source
        yield changed(f"holder-{slug}", "HOLDER", rule, section, {"kind": kind}, holder=tlv(0x30, holder))
    yield changed(
        "holder-somebody",
        "HOLDER",
        "it is the holder who was authenticated",
        source,
        {"holder": "holder-other", "kind": "local"},
    )
    yield changed(
        "holder-elsewhere",
        "HOLDER",
        "the same name and serial of another CA is another person",
        source,
        {"holder": "holder-elsewhere", "kind": "local"},
    )
    yield changed(
        "holder-renewed",
        "HOLDER",
        "a renewed certificate is another one",
        source,
        {"holder": "holder-renewed", "kind": "local"},
    )
    nobody = parties()["holder-nameless"]
    yield changed(
        "holder-nameless",
        "HOLDER",
        "an empty name is nobody, not even one without a name",
        source,
        {"holder": "holder-nameless"},
        holder=tlv(0x30, tlv(0xA1, directory(nobody.name))),
    )
    yield changed(
        "holder-issuerless",
        "HOLDER",
        "the issuer's name is not empty, not even that of one without a name",
        source,
        {"holder": "holder-issuerless"},
        holder=tlv(0x30, base_id(parties()["holder-issuerless"])),
    )
    nul = tlv(0xA1, tlv(0x82, b"a.example\x00.evil"))
    yield changed(
        "holder-zero-octet",
        "NOT_DER",
        "names have no zero octet",
        "RFC 5280, section 4.2.1.6",
        holder=tlv(0x30, nul),
    )
    yield changed(
        "holder-no-names",
        "NOT_DER",
        "a list of names has one",
        "RFC 5280, section 4.2.1.6",
        holder=tlv(0x30, tlv(0xA1)),
    )
    missing = tlv(
        0xA2, tlv(0x0A, b"\x02"), tlv(0x30, oid("2.16.840.1.101.3.4.2.1")), tlv(0x03, b"\x00", bytes(32))
    )
    yield changed(
        "holder-other-type",
        "NOT_DER",
        "otherObjectTypes says of which type",
        "RFC 5755, section 4.1",
        holder=tlv(0x30, missing),
    )


def _target(*targets: bytes, critical: bool = True) -> tuple[bytes, ...]:
    return (extension(TARGETS, tlv(0x30, tlv(0x30, *targets)), critical=critical),)


def _targets() -> Iterator[Row]:
    source = "RFC 5755, section 4.3.2"
    by_name = tlv(0xA0, tlv(0x86, URI_HERE.encode()))
    by_group = tlv(0xA1, tlv(0x86, b"urn:onecert:group:tax"))
    by_certificate = tlv(0xA2, tlv(0x30, base_id(parties()["holder"])[2:]))
    elsewhere = {"target": "urn:onecert:service:land", "groups": ("urn:onecert:group:land",), "kind": "local"}
    here = {"target": URI_HERE, "groups": ("urn:onecert:group:tax",)}
    yield changed(
        "target-name", "TARGET", "it is meant for us", source, elsewhere, extensions=_target(by_name)
    )
    yield changed(
        "target-group", "TARGET", "it is meant for our group", source, elsewhere, extensions=_target(by_group)
    )
    yield changed(
        "target-unknown-self",
        "TARGET",
        "who does not know its own name is not meant",
        source,
        {"kind": "local"},
        extensions=_target(by_name),
    )
    yield changed(
        "target-certificate",
        "TARGET",
        "targetCert admits nobody",
        source,
        {**here, "kind": "forbidden"},
        extensions=_target(by_certificate),
    )
    yield changed(
        "target-not-critical",
        "TARGET",
        "targets count also when they are not critical",
        source,
        elsewhere,
        extensions=_target(by_name, critical=False),
    )
    yield changed("target-name-good", "", "meant for us by name", source, here, extensions=_target(by_name))
    yield changed("target-group-good", "", "meant for our group", source, here, extensions=_target(by_group))


def _status() -> Iterator[Row]:
    source = "RFC 5755, section 6"
    local = {"kind": "local"}
    yield changed("status-revoked", "REVOKED", "it was not revoked", source, local, serial=integer(REVOKED))
    yield changed("status-hold", "REVOKED", "it is not on hold", source, local, serial=integer(HELD))
    lists = {
        "no-list": ("there is a list", ()),
        "old-list": ("the list is not too old", ("acrl-old.crl",)),
        "future-list": ("the list has begun", ("acrl-future.crl",)),
        "other-list": ("the list is that of the authority", ("aa-p384.acrl",)),
        "forged-list": ("the authority signed the list", ("acrl-forged.crl",)),
        "plain-list": ("the list is one of attribute certificates", ("acrl-plain.crl",)),
        "everything-list": ("the list is limited to attribute certificates", ("acrl-everything.crl",)),
        "not-critical-list": ("its distribution point is critical", ("acrl-not-critical.crl",)),
        "user-list": ("the list is not one of public-key certificates", ("acrl-user.crl",)),
        "reasons-list": ("the list is complete", ("acrl-reasons.crl",)),
        "indirect-list": ("the list is of one authority", ("acrl-indirect.crl",)),
    }
    for slug, (rule, files) in lists.items():
        yield changed(
            f"status-{slug}",
            "STATUS_UNKNOWN",
            rule,
            "RFC 5280, section 6.3.3" if files else source,
            {"lists": files, "kind": "local"},
        )
    yield changed(
        "status-old-list-revoked",
        "REVOKED",
        "a revocation counts also in an old list",
        source,
        {"lists": ("acrl-old.crl",), "kind": "local"},
        serial=integer(REVOKED),
    )
    no_revocation = extension(NO_REVOCATION, b"\x05\x00")
    point = extension(
        POINTS, tlv(0x30, tlv(0x30, tlv(0xA0, tlv(0xA0, tlv(0x86, b"http://aa.example/acrl")))))
    )
    yield changed(
        "status-short-25h",
        "STATUS_UNKNOWN",
        "what cannot be revoked lives at most 24 hours",
        source,
        {"kind": "local"},
        extensions=(no_revocation,),
        validity=validity(T - HOUR, T + 24 * HOUR),
    )
    yield changed(
        "status-contradiction",
        "STATUS_CONTRADICTION",
        "noRevAvail and a list exclude each other",
        source,
        extensions=(no_revocation, point),
        validity=validity(T - HOUR, T + HOUR),
    )
    yield changed(
        "status-short-good",
        "",
        "short-lived, without any list",
        source,
        {"lists": ()},
        extensions=(no_revocation,),
        validity=validity(T - HOUR, T + 23 * HOUR),
    )
    yield changed("status-pointer-good", "", "long-lived, with a list", source, extensions=(point,))
    yield changed(
        "status-revoked-later",
        "",
        "what was revoked later was good before",
        source,
        {"lists": ("acrl-later.crl",)},
        serial=integer(REVOKED),
    )


# ---------------------------------------------------------------------- accepted


def _good() -> Iterator[Row]:
    section = "RFC 5755, section 4"
    people = parties()
    own = people["holder"]
    for slug in ("p256", "p384", "rsa", "ed25519", "sm2"):
        authority = f"aa-{slug}"
        yield changed(
            f"good-{slug}", "", "everything is right", section, {"authority": authority}, authority=authority
        )
    forms = {
        "holder-name": tlv(0xA1, directory(own.name)),
        "holder-key": digest_info(0, hashlib.sha256(own.key.spki).digest()),
        "holder-certificate": digest_info(1, hashlib.sha256(own.der).digest()),
        "holder-sha512": digest_info(1, hashlib.sha512(own.der).digest(), "2.16.840.1.101.3.4.2.3"),
        "holder-two-forms": base_id(own) + tlv(0xA1, directory(own.name)),
    }
    for slug, holder in forms.items():
        yield changed(
            f"good-{slug}", "", "the holder in another form", section + ".2.2", holder=tlv(0x30, holder)
        )
    yield changed(
        "good-renewed",
        "",
        "a key outlives its certificate",
        "RFC 5755, section 7.3",
        {"holder": "holder-renewed"},
        holder=tlv(0x30, forms["holder-key"]),
    )
    entity = tlv(0xA1, tlv(0x86, b"urn:onecert:entity:uscc:91440300MA5DEM004J"))
    yield changed(
        "good-entity",
        "",
        "a verified entity",
        section + ".2.2",
        {"identity": "uscc:91440300MA5DEM004J"},
        holder=tlv(0x30, entity),
    )
    yield changed(
        "good-audit",
        "",
        "a pseudonym for the log",
        section + ".3.1",
        extensions=(extension(AUDIT, tlv(0x04, b"\x01" * 20), critical=True),),
    )
    yield changed(
        "good-unknown",
        "",
        "an unknown extension that is not critical",
        section + ".3",
        extensions=(extension("1.2.3.4", tlv(0x0C, b"anything")),),
    )
    yield changed(
        "good-no-key-id", "", "a name of one authority is enough", section + ".3.3", with_key_id=False
    )
    group = tlv(0x30, tlv(0xA0, tlv(0x86, b"https://groups.example/")), tlv(0x30, tlv(0x0C, "一组".encode())))
    charging = tlv(0x30, tlv(0x30, oid("1.2.3.4"), oid("1.2.3.5")))
    ident = tlv(0x30, tlv(0x86, b"ldap://ids.example/"), directory(own.name))
    clearance = tlv(0x30, oid("1.2.3.6"), tlv(0x03, b"\x03\x08"))
    attributes = (
        attribute("1.3.6.1.5.5.7.10.2", ident),
        attribute("1.3.6.1.5.5.7.10.3", charging),
        attribute(GROUP, group),
        attribute(ROLE, role(APPROVER), role(CLERK)),
        attribute("2.5.4.55", clearance),
    )
    yield changed(
        "good-all-attributes", "", "every attribute of RFC 5755", section + ".4", attributes=attributes
    )
    secret = (attribute(ROLE, role(APPROVER)), attribute(ENCRYPTED, *ENCRYPTED_TO.values()))
    yield changed(
        "good-encrypted",
        "",
        "a group for the eyes of two offices",
        "RFC 5755, section 7.1",
        attributes=secret,
    )
    pem = base64.encodebytes(made("good-pem").sign()).decode()
    text = f"-----BEGIN ATTRIBUTE CERTIFICATE-----\n{pem}-----END ATTRIBUTE CERTIFICATE-----\n"
    yield Row(
        slug="good-pem",
        der=text.encode(),
        code="",
        rule="PEM with its own label",
        source="RFC 7468, section 9",
    )


def _dropped() -> Iterator[Row]:
    source = "RFC 5755, section 7.4"
    group = attribute(GROUP, tlv(0x30, tlv(0x30, tlv(0x0C, b"staff"))))
    both = (attribute(ROLE, role(APPROVER)), group)
    yield changed(
        "dropped-controls",
        "",
        "what aaControls does not permit reaches no decision",
        source,
        {"authority": "aa-controls", "dropped": ("AA_CONTROLS",)},
        authority="aa-controls",
        attributes=both,
    )
    unknown = attribute("1.2.3.4.5", b"\x05\x00")
    configuration = "RFC 5755, section 5"
    yield changed(
        "dropped-attribute",
        "",
        "what the configuration does not allow reaches no decision",
        configuration,
        {"dropped": ("NOT_ASSIGNABLE",)},
        attributes=(both[0], unknown),
    )
    foreign = attribute(ROLE, role(APPROVER), role("urn:onecert:role:land.approver"))
    yield changed(
        "dropped-role",
        "",
        "a role of others reaches no decision",
        configuration,
        {"dropped": ("NOT_ASSIGNABLE",)},
        attributes=(foreign,),
    )
    values = {
        "dns": tlv(0x30, tlv(0xA1, tlv(0x82, b"approver.example"))),
        "blank": role("urn:onecert:role:tax approver"),
        "cyrillic": role("urn:onecert:role:t\u0430x.approver"),
        "zero-octet": role("urn:onecert:role:tax.\x00approver"),
        "no-tag": tlv(0x30, tlv(0x86, APPROVER.encode())),
    }
    for slug, value in values.items():
        yield changed(
            f"dropped-role-{slug}",
            "",
            "a role whose name is no URI reaches no decision",
            "RFC 5755, section 4.4.5",
            {"dropped": ("ROLE_FORM",)},
            attributes=(attribute(ROLE, role(APPROVER), value),),
        )
