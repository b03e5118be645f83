"""Rows of the corpus about the certificate itself: bytes, sizes, profile, authority, signature."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

from corpus_keys import EcKey, integer, oid, tlv
from corpus_row import Row, changed, made
from corpus_world import (
    APPROVER,
    AUDIT,
    CLERK,
    DAY,
    GROUP,
    KEY_ID,
    NO_REVOCATION,
    ROLE,
    TARGETS,
    T,
    attribute,
    digest_info,
    directory,
    extension,
    generalized,
    name,
    parties,
    role,
)

URI_HERE = "urn:onecert:service:tax"


def form_rows() -> Iterator[Row]:
    """In the order of the verifier's walk."""
    for section in (_bytes, _sizes, _form, _times, _extensions, _authorities, _signatures):
        yield from section()


# ---------------------------------------------------------------------- bytes


def _raw(slug: str, der: bytes, rule: str, source: str = "X.690, section 10", code: str = "NOT_DER") -> Row:
    return Row(slug=slug, der=der, code=code, rule=rule, source=source)


def _bytes() -> Iterator[Row]:
    good = made("bytes").sign()
    body = good[4:]
    yield _raw("der-empty", b"", "there is something")
    yield _raw("der-trailing", good + b"\x00", "nothing follows the certificate", "X.690, section 8.1.1")
    yield _raw("der-truncated", good[:-1], "the certificate is whole", "X.690, section 8.1.3")
    yield _raw(
        "der-indefinite", b"\x30\x80" + body + b"\x00\x00", "lengths are definite", "X.690, section 10.1"
    )
    long = b"\x30\x83\x00" + good[2:4] + body
    yield _raw("der-long-length", long, "lengths are as short as possible", "X.690, section 10.1")
    yield _raw("der-high-tag", b"\x3f\x10" + good[1:], "it is a SEQUENCE", "RFC 5755, section 4.1")
    pieces = made("der-boolean")
    unusual = tlv(
        0x30, oid(KEY_ID), b"\x01\x01\x01", tlv(0x04, tlv(0x30, tlv(0x80, pieces.authority.key_id)))
    )
    yield changed(
        "der-boolean",
        "NOT_DER",
        "TRUE is FF",
        "X.690, section 11.1",
        with_key_id=False,
        extensions=(unusual,),
    )
    spoken = tlv(0x30, oid("1.2.3"), b"\x01\x01\x00", tlv(0x04, b"\x05\x00"))
    yield changed(
        "der-default", "NOT_DER", "a default is left out", "X.690, section 11.5", extensions=(spoken,)
    )
    padded = tlv(0x02, b"\x00\x4a")
    yield changed(
        "der-integer", "NOT_DER", "integers have no leading zero", "X.690, section 8.3.2", serial=padded
    )
    backwards = tlv(0x30, oid(ROLE), tlv(0x31, *sorted((role(APPROVER), role(CLERK)), reverse=True)))
    yield changed("der-set", "NOT_DER", "a set is in order", "X.690, section 11.6", attributes=(backwards,))
    yield changed(
        "der-value",
        "NOT_DER",
        "values are DER at every level",
        "X.690, section 10.1",
        attributes=(tlv(0x30, oid(GROUP), tlv(0x31, tlv(0x30, tlv(0x30, b"\x0c\x81\x01a")))),),
    )
    inner = attribute(GROUP, tlv(0x30, tlv(0x31, integer(2), integer(1))))
    yield changed(
        "der-inner-set",
        "NOT_DER",
        "a set inside of a value is in order",
        "X.690, section 11.6",
        attributes=(inner,),
    )
    info = made("der-bits")
    signature = info.authority.key.sign(info.info())
    tail = (info.info(), info.authority.key.algorithm)
    yield _raw(
        "der-bits",
        tlv(0x30, *tail, tlv(0x03, b"\x01", signature[:-1], bytes((signature[-1] & 0xFE,)))),
        "the signature is whole octets",
        "RFC 5755, section 4.1",
    )
    in_pieces = tlv(0x23, tlv(0x03, b"\x00", signature))
    yield _raw("der-pieces", tlv(0x30, *tail, in_pieces), "strings are in one piece", "X.690, section 10.2")
    yield _raw("der-two", good + good, "one certificate at a time", "X.690, section 8.1.1")


def _sizes() -> Iterator[Row]:
    # Our own bounds: the standard has none, and speaks of them in its security considerations only.
    source, bounds = "RFC 5755, section 8", {"kind": "bound"}
    large = (attribute(GROUP, tlv(0x30, tlv(0x30, tlv(0x0C, b"a" * 65 * 1024)))),)
    yield changed("size-65-kib", "TOO_LARGE", "at most 64 KiB", source, bounds, attributes=large)
    small = tlv(0x30, oid("1.2.3"), tlv(0x31, b"\x05\x00"))
    yield changed(
        "size-10000-attributes", "TOO_LARGE", "at most 64 KiB", source, bounds, attributes=(small,) * 10_000
    )
    yield changed(
        "size-4000-attributes",
        "NOT_DER",
        "at most 64 attributes",
        source,
        bounds,
        attributes=(small,) * 4_000,
    )
    many = tuple(role(f"urn:onecert:role:tax.r{number:04}") for number in range(300))
    yield changed(
        "size-300-values",
        "NOT_DER",
        "at most 256 values",
        source,
        bounds,
        attributes=(attribute(ROLE, *many),),
    )
    extensions = tuple(extension(f"1.2.3.{number}", b"\x05\x00") for number in range(40))
    yield changed(
        "size-40-extensions", "NOT_DER", "at most 32 extensions", source, bounds, extensions=extensions
    )
    names = tlv(0xA1, *(tlv(0x82, f"h{number}.example".encode()) for number in range(100)))
    yield changed("size-100-names", "NOT_DER", "at most 64 names", source, bounds, holder=tlv(0x30, names))
    nested = b"\x05\x00"
    for _ in range(60):
        nested = tlv(0x30, nested)
    yield changed(
        "size-nested", "NOT_DER", "at most 24 levels", source, bounds, attributes=(attribute(GROUP, nested),)
    )
    targets = tlv(0x30, tlv(0x30, *(tlv(0xA0, tlv(0x82, f"h{n}".encode())) for n in range(300))))
    yield changed(
        "size-300-targets",
        "EXTENSION_FORM",
        "at most 256 targets",
        source,
        bounds,
        extensions=(extension(TARGETS, targets, critical=True),),
    )


# ---------------------------------------------------------------------- the profile of section 4


def _form() -> Iterator[Row]:
    section = "RFC 5755, section 4.2."
    own = directory(parties()["aa-p256"].name)
    for number in (0, 2):
        yield changed(
            f"version-{number + 1}",
            "VERSION",
            "the version is 2, written 1",
            section + "1",
            version=integer(number),
        )
    base = tlv(0xA0, tlv(0x30, own), integer(10))
    digest = digest_info(0, hashlib.sha256(b"key").digest())
    forms = {
        "v1": (tlv(0x30, own), "v1Form must not be used"),
        "two-names": (tlv(0xA0, tlv(0x30, own, directory(name("另一个")))), "the issuer has one name"),
        "empty-name": (tlv(0xA0, tlv(0x30, directory(b"\x30\x00"))), "the issuer's name is not empty"),
        "dns": (tlv(0xA0, tlv(0x30, tlv(0x82, b"aa.example"))), "the issuer's name is a directory name"),
        "no-name": (tlv(0xA0), "the issuer has a name"),
        "base-id": (tlv(0xA0, tlv(0x30, own), base), "baseCertificateID must not be present"),
        "digest": (tlv(0xA0, tlv(0x30, own), b"\xa1" + digest[1:]), "objectDigestInfo must not be present"),
    }
    for slug, (issuer, rule) in forms.items():
        yield changed(f"issuer-{slug}", "ISSUER_FORM", rule, section + "3", issuer=issuer)
    yield changed(
        "issuer-unique-id",
        "ISSUER_FORM",
        "issuerUniqueID must not be used",
        section + "8",
        unique_id=tlv(0x03, b"\x00\x01"),
    )
    serials = {"zero": 0, "negative": -5, "21-octets": 1 << 160, "160-bits": 1 << 159}
    for slug, value in serials.items():
        rule = "serial numbers are positive and have at most 20 octets"
        yield changed(f"serial-{slug}", "SERIAL", rule, section + "5", serial=integer(value))
    yield changed("attributes-none", "NO_ATTRIBUTES", "there is an attribute", section + "7", attributes=())
    twice = (attribute(ROLE, role(APPROVER)), attribute(ROLE, role(CLERK)))
    yield changed(
        "attributes-twice",
        "DUPLICATE_ATTRIBUTE",
        "each type of attribute stands once",
        section + "7",
        attributes=twice,
    )
    groups = (tlv(0x30, tlv(0x30, tlv(0x0C, each))) for each in (b"staff", b"tax"))
    several = (attribute(ROLE, role(APPROVER)), attribute(GROUP, *groups))
    rule = "group has one value, with several names in it"
    yield changed("attributes-groups", "SINGLE_VALUE", rule, "RFC 5755, section 4.4.4", attributes=several)
    empty = (tlv(0x30, oid(ROLE), tlv(0x31)),)
    yield changed("attributes-empty", "NOT_DER", "an attribute has a value", section + "7", attributes=empty)
    other = tlv(0x30, oid("1.2.840.10045.4.3.3"))
    yield changed(
        "algorithm-mismatch",
        "ALG_MISMATCH",
        "both algorithm identifiers are the same",
        section + "4",
        outer_algorithm=other,
    )


def _times() -> Iterator[Row]:
    good = generalized(T + DAY)
    forms = {
        "utc": tlv(0x17, b"261122090000Z"),
        "fraction": tlv(0x18, b"20261122090000.5Z"),
        "offset": tlv(0x18, b"20261122170000+0800"),
        "local": tlv(0x18, b"20261122170000"),
        "no-seconds": tlv(0x18, b"202611220900Z"),
        "no-day": tlv(0x18, b"20260230090000Z"),
        "lower-case": tlv(0x18, b"20261122090000z"),
    }
    source = "RFC 5755, section 4.2.6"
    for slug, end in forms.items():
        period = tlv(0x30, generalized(T - DAY), end)
        yield changed(
            f"time-{slug}",
            "TIME_FORM",
            "GeneralizedTime YYYYMMDDHHMMSSZ, also before 2050",
            source,
            validity=period,
        )
    period = tlv(0x30, good, generalized(T - DAY))
    yield changed("time-reversed", "TIME_FORM", "it does not end before it begins", source, validity=period)


def _extensions() -> Iterator[Row]:
    section = "RFC 5755, section 4.3"
    key = made("extension").authority.key_id
    pieces: dict[str, tuple[str, bytes, str, str]] = {
        "twice": (
            "DUPLICATE_EXTENSION",
            extension(KEY_ID, tlv(0x30, tlv(0x80, key))),
            "each stands once",
            section,
        ),
        "critical": (
            "UNKNOWN_CRITICAL",
            extension("1.2.3.4", b"\x05\x00", critical=True),
            "what is critical is enforced or refused",
            section,
        ),
        "proxying": (
            "UNKNOWN_CRITICAL",
            extension(
                "1.3.6.1.5.5.7.1.10",
                tlv(0x30, tlv(0x30, tlv(0xA0, tlv(0x86, URI_HERE.encode())))),
                critical=True,
            ),
            "a proxy that nobody enforces is refused",
            "RFC 5755, section 7.2",
        ),
        "single-use": (
            "LIMIT_NOT_ENFORCED",
            extension("2.5.29.65", b"\x05\x00"),
            "singleUse is no ornament",
            "X.509, section 17.1.2.6",
        ),
        "key-id-form": (
            "EXTENSION_FORM",
            extension("2.5.29.35", b"\x05\x00"),
            "authorityKeyIdentifier is readable",
            section + ".3",
        ),
        "audit-21": (
            "EXTENSION_FORM",
            extension(AUDIT, tlv(0x04, bytes(21)), critical=True),
            "auditIdentity has at most 20 octets",
            section + ".1",
        ),
        "audit-0": (
            "EXTENSION_FORM",
            extension(AUDIT, tlv(0x04), critical=True),
            "auditIdentity is not empty",
            section + ".1",
        ),
        "no-revocation-form": (
            "EXTENSION_FORM",
            extension(NO_REVOCATION, tlv(0x30)),
            "noRevAvail is NULL",
            section + ".6",
        ),
        "target-kind": (
            "EXTENSION_FORM",
            extension(TARGETS, tlv(0x30, tlv(0x30, tlv(0xA3, tlv(0x82, b"a.example")))), critical=True),
            "a target is of a kind that we know",
            section + ".2",
        ),
        "target-form": (
            "EXTENSION_FORM",
            extension(TARGETS, tlv(0x30, tlv(0x04)), critical=True),
            "targetInformation is readable",
            section + ".2",
        ),
        "target-name": (
            "EXTENSION_FORM",
            extension(
                TARGETS, tlv(0x30, tlv(0x30, tlv(0xA0, tlv(0x82, b"tax.example\x00.evil")))), critical=True
            ),
            "names have no zero octet",
            "RFC 5280, section 4.2.1.6",
        ),
    }
    for slug, (code, value, rule, source) in pieces.items():
        # Ours alone: what nobody enforces is refused though not critical, and so is an empty name.
        more = {"kind": "local"} if slug in {"single-use", "audit-0"} else None
        has_own = slug == "key-id-form"
        yield changed(
            f"extension-{slug}", code, rule, source, more, extensions=(value,), with_key_id=not has_own
        )
    yield changed(
        "extension-none",
        "NOT_DER",
        "a list of extensions has one",
        "RFC 5280, section 4.1.2.9",
        with_key_id=False,
        no_list=tlv(0x30),
    )


# ---------------------------------------------------------------------- authority and signature


def _authorities() -> Iterator[Row]:
    issuer = "RFC 5755, section 4.5"
    cases = {
        "aa-ca": ("AA_IS_CA", "an attribute authority is no CA", issuer, "forbidden"),
        "aa-usage": ("AA_KEY_USAGE", "its key may sign", issuer, "forbidden"),
        "aa-expired": ("AA_PATH", "its certificate is valid at the time of use", issuer, "local"),
        "aa-revoked": ("AA_PATH", "its certificate was not revoked", issuer, "local"),
        "aa-stranger": ("AA_PATH", "its path ends at a root that we trust", issuer, "local"),
        "aa-silent": ("AA_PATH_UNKNOWN", "its status is known", issuer, "local"),
        "aa-no-lists": (
            "STATUS_UNKNOWN",
            "who signs lists may sign lists",
            "RFC 5280, section 6.3.3",
            "local",
        ),
        "aa-unknown": ("UNTRUSTED", "the configuration names it", "RFC 5755, section 5", "local"),
        "aa-twin": (
            "UNTRUSTED",
            "name and key identifier are those of one authority",
            "RFC 5755, section 5",
            "local",
        ),
    }
    for slug, (code, rule, source, kind) in cases.items():
        slug_of_row = f"authority-{slug[3:]}"
        yield changed(slug_of_row, code, rule, source, {"authority": slug, "kind": kind}, authority=slug)
    stranger = tlv(0xA0, tlv(0x30, directory(name("没有人认识的权威"))))
    yield changed(
        "authority-name",
        "UNTRUSTED",
        "the issuer is the one whose key signed",
        "RFC 5755, section 5",
        {"kind": "local"},
        issuer=stranger,
    )
    key_id = parties()["aa-p384"].key_id
    yield changed(
        "authority-key-id",
        "UNTRUSTED",
        "the key identifier is that of the key that signed",
        "RFC 5755, section 4.3.3",
        {"kind": "local"},
        key_id=key_id,
    )


def _signatures() -> Iterator[Row]:
    source = "RFC 5755, section 5"

    def joined(slug: str, signature: bytes, rule: str) -> Row:
        return Row(slug=slug, der=made(slug).join(signature), code="SIGNATURE", rule=rule, source=source)

    def right(slug: str) -> bytes:
        pieces = made(slug)
        return pieces.authority.key.sign(pieces.info())

    flipped = right("signature-bit")
    yield joined("signature-bit", flipped[:-1] + bytes((flipped[-1] ^ 1,)), "the signature is right")
    yield joined("signature-short", right("signature-short")[:-1], "the signature is whole")
    yield joined("signature-empty", b"", "there is a signature")
    yield joined("signature-zero", tlv(0x30, integer(0), integer(0)), "r and s are not zero")
    yield changed("signature-key", "SIGNATURE", "the authority's own key signed", source, signer=EcKey(99))
    good = made("signature-content").sign()
    place = good.index(b"tax.approver")
    yield _raw(
        "signature-content",
        good[:place] + b"tax.approveR" + good[place + 12 :],
        "nothing was changed",
        source,
        "SIGNATURE",
    )
    sha1 = tlv(0x30, oid("1.2.840.10045.4.1"))
    yield changed(
        "signature-sha1",
        "ALGORITHM_NOT_ALLOWED",
        "SHA-1 signs nothing",
        "RFC 6194, section 3",
        algorithm=sha1,
    )
    rsa = tlv(0x30, oid("1.2.840.113549.1.1.11"), b"\x05\x00")
    yield changed(
        "signature-kind", "ALGORITHM_MISMATCH", "it is an algorithm of the key", source, algorithm=rsa
    )
