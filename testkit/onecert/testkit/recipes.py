"""The CAs and the cases of a kit as tables: what each certificate is, and what must become of it.

Days are counted from the moment of making. What a case means is told to people by the row ``CASE_…`` of
``texts.json``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from cryptography import x509

from onecert.testkit.identity_fields import (
    CITIZEN,
    FIRM,
    FIRM_ELSEWHERE,
    FIRM_WRONG_CHECK_DIGIT,
    OTHER_FIRM_CODE,
    fields_for,
    organisation_code_field,
)
from onecert.verifier.trust_list.vocabulary import Status

__all__ = ["AUTHORITIES", "RECIPES", "AuthorityRow", "Recipe"]

FIRM_ID = f"uscc:{FIRM}"


@dataclass(frozen=True, kw_only=True)
class AuthorityRow:
    """One CA. ``status`` is its state since ``since`` days; before that it was granted."""

    id: str
    zh: str
    en: str
    keys: str
    profile: str
    listed: bool = True
    status: Status = Status.GRANTED
    since: int = -1000
    keeps_existing: bool = False  # withdrawn, but what it had issued stays good
    crl_is_over: bool = False
    name_of: str = ""  # claims name and key of this CA


AUTHORITIES = (
    AuthorityRow(id="pearl", zh="珠江CA", en="Pearl CA", keys="rsa-2048", profile="pearl"),
    AuthorityRow(id="harbour", zh="海港CA", en="Harbour CA", keys="p-256", profile="harbour"),
    AuthorityRow(id="summit", zh="高峰CA", en="Summit CA", keys="p-384", profile="summit"),
    AuthorityRow(id="harbour-sm2", zh="海港CA（国密）", en="Harbour CA (SM2)", keys="sm2", profile="harbour"),
    AuthorityRow(
        id="meadow",
        zh="原野CA",
        en="Meadow CA",
        keys="p-256",
        profile="harbour",
        status=Status.WITHDRAWN,
        since=-100,
        keeps_existing=True,
    ),
    AuthorityRow(
        id="willow",
        zh="垂柳CA",
        en="Willow CA",
        keys="p-256",
        profile="harbour",
        status=Status.SUSPENDED,
        since=-5,
    ),
    AuthorityRow(id="heron", zh="白鹭CA", en="Heron CA", keys="p-256", profile="harbour", crl_is_over=True),
    AuthorityRow(id="stranger", zh="陌生CA", en="Stranger CA", keys="p-256", profile="harbour", listed=False),
    AuthorityRow(
        id="impostor",
        zh="冒名CA",
        en="Impostor CA",
        keys="p-256",
        profile="harbour",
        listed=False,
        name_of="harbour",
    ),
)


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """One certificate. By default a good one of the kit's firm; a row changes one thing.

    Args:
        expected: ``accepted``, ``refused`` or ``could-not-check``.
        code: the reason that the verifier gives, empty when accepted.
        id: canonical id; empty for a natural person, whose id differs from one application to the next.
        extensions: what the CA writes about the holder; ``None`` for the firm as its profile has it.
        same_key_as: name of an earlier case whose key this certificate has.
        algorithm: signature of the CA, its usual one by default.
        altered: the number in the certificate is another than the one that the CA has signed.
    """

    name: str
    authority: str
    expected: str = "accepted"
    code: str = ""
    id: str = FIRM_ID
    common_name: str = "示例科技有限公司"
    extensions: Mapping[str, bytes] | None = None
    keys: str = "p-256"
    same_key_as: str = ""
    usages: tuple[str, ...] = ("digital_signature", "content_commitment")
    begin: int = -30
    end: int | None = None  # the kit's last day
    revoked: x509.ReasonFlags | None = None
    algorithm: str | None = None
    altered: bool = False


@dataclass(frozen=True, kw_only=True)
class _Refused(Recipe):
    expected: str = field(default="refused")


RECIPES: tuple[Recipe, ...] = (
    Recipe(name="good-pearl", authority="pearl", keys="rsa-2048"),
    Recipe(name="good-harbour", authority="harbour"),
    Recipe(name="good-summit", authority="summit", keys="p-384"),
    Recipe(name="good-sm2", authority="harbour-sm2", keys="sm2"),
    Recipe(
        name="second-key",
        authority="pearl",
        extensions=fields_for("pearl", entity=FIRM, key_number=10002),
    ),
    Recipe(name="renewed", authority="harbour", same_key_as="good-harbour", begin=-1),
    Recipe(name="renamed", authority="summit", common_name="示例科技（新名）有限公司"),
    Recipe(name="agent", authority="harbour", extensions=fields_for("harbour", entity=FIRM, person=CITIZEN)),
    Recipe(
        name="employee",
        authority="summit",
        extensions=fields_for("summit", entity=FIRM, person=CITIZEN, holder_class="003"),
    ),
    Recipe(
        name="citizen",
        authority="pearl",
        id="",
        common_name="测试人",
        extensions=fields_for("pearl", person=CITIZEN),
    ),
    Recipe(name="withdrawn-ca-before", authority="meadow", begin=-200),
    _Refused(name="withdrawn-ca-after", authority="meadow", begin=-50, code="CA_NOT_GRANTED_AT_ISSUE"),
    _Refused(name="suspended-ca", authority="willow", code="CA_SUSPENDED"),
    _Refused(name="held", authority="harbour", code="CERT_HELD", revoked=x509.ReasonFlags.certificate_hold),
    _Refused(name="revoked", authority="pearl", code="CERT_REVOKED", revoked=x509.ReasonFlags.key_compromise),
    _Refused(name="expired", authority="harbour", code="CERT_EXPIRED", begin=-400, end=-10),
    _Refused(name="not-yet-valid", authority="summit", code="CERT_NOT_YET_VALID", begin=300),
    _Refused(
        name="out-of-scope",
        authority="pearl",
        code="OUT_OF_SCOPE",
        extensions=fields_for("pearl", entity=FIRM_ELSEWHERE),
    ),
    _Refused(
        name="conflicting-ids",
        authority="harbour",
        code="IDENTITY_CONFLICT",
        extensions=fields_for("harbour", entity=FIRM) | organisation_code_field(OTHER_FIRM_CODE),
    ),
    _Refused(
        name="conflicting-class",
        authority="summit",
        code="CLASS_CONFLICT",
        extensions=fields_for("summit", entity=FIRM, person=CITIZEN, holder_class="004"),
    ),
    _Refused(name="no-id", authority="pearl", code="SOURCE_MISSING", extensions={}),
    _Refused(
        name="wrong-check-digit",
        authority="summit",
        code="ID_CHECK_DIGIT",
        extensions=fields_for("summit", entity=FIRM_WRONG_CHECK_DIGIT),
    ),
    _Refused(
        name="encryption-certificate",
        authority="harbour",
        code="KEY_USAGE",
        usages=("key_encipherment", "data_encipherment"),
    ),
    _Refused(name="unknown-ca", authority="stranger", code="ISSUER_UNKNOWN"),
    _Refused(name="impostor-ca", authority="impostor", code="CERT_SIGNATURE_INVALID"),
    _Refused(name="altered", authority="summit", code="CERT_SIGNATURE_INVALID", altered=True),
    _Refused(name="weak-key", authority="pearl", code="WEAK_KEY", keys="rsa-1024"),
    _Refused(name="sha1", authority="pearl", code="ALGORITHM_NOT_ALLOWED", algorithm="rsa-sha1"),
    Recipe(name="status-unknown", authority="heron", expected="could-not-check", code="REVOCATION_UNKNOWN"),
)
