"""A kit on disk: made once, then served and checked against.

    make_kit(Path("kit"), at=datetime.now(UTC), base_url="http://127.0.0.1:8099")
    kit = load_kit(Path("kit"))
    for case in kit.cases: ...

| in the folder | is |
| --- | --- |
| ``cases.json`` | every case with what must become of it |
| ``holders/`` | certificate and key of every case: PEM, and PKCS #12 where that is possible |
| ``site/`` | what ``serve`` serves: trust list, revocation lists, CA certificates |
| ``pki/`` | what ``open_verifier`` reads: the trust root and the address of the list |
| ``timestamp.key`` | with it ``serve`` says every hour that the list is the newest |

The keys of the root are thrown away when the kit is made; those of the CAs and of the officers too, or they
are kept in ``keys/`` (see ``kept``).
"""

from __future__ import annotations

import json
import re
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import pkcs12

from onecert.testkit.authority import DAY, Authority, CertificateRequest, establish, subject_name
from onecert.testkit.documents import sign_document
from onecert.testkit.errors import KitError
from onecert.testkit.identity_fields import FIRM, FIRM_ELSEWHERE, fields_for
from onecert.testkit.kept import Kept, replace_file, save_kept
from onecert.testkit.keys import HolderKey, SoftKey, load_key, make_key
from onecert.testkit.recipes import AUTHORITIES, RECIPES, Recipe
from onecert.testkit.texts import text
from onecert.testkit.trust_list import trust_list_payload
from onecert.testkit.trust_roles import RoleHolders, TrustHolders
from onecert.verifier.strict_json import format_time, parse_time
from onecert.verifier.trust_list import vocabulary as v
from onecert.verifier.trust_list.published import LIST_FILE, ROOT_FILE, TIMESTAMP_FILE

__all__ = ["DEFAULT_BASE_URL", "Case", "Kit", "load_kit", "make_kit", "sign_timestamp"]

DEFAULT_BASE_URL = "http://127.0.0.1:8099"
PASSWORD = "test-only"  # noqa: S105  printed in the kit's README; nothing is behind it
# A trust list may not live longer, and without its keys nobody can make the next one.
KIT_LASTS = timedelta(days=v.MAX_VALIDITY_DAYS)
# A kit that keeps its keys signs further lists under the same root.
ROOT_LASTS = timedelta(days=1800)
# Few rounds: the password is known to everybody. Browsers and openssl read this form.
_PROTECTION = (
    serialization.PrivateFormat.PKCS12.encryption_builder()
    .kdf_rounds(2000)
    .key_cert_algorithm(pkcs12.PBES.PBESv2SHA256AndAES256CBC)
    .hmac_hash(hashes.SHA256())
)
_SCHEMA = 1
_URL = re.compile(r"https?://[A-Za-z0-9.:\[\]-]+(/[A-Za-z0-9._~/-]*)?")


@dataclass(frozen=True, kw_only=True)
class Case:
    """One certificate and what must become of it; a line of ``cases.json``.

    ``files``, relative to the folder: ``certificate`` and ``key`` (PEM), ``pkcs12`` where there is one.
    ``id`` is empty when refused, and for a natural person, whose id differs by application.
    """

    name: str
    files: dict[str, str]
    expected: str
    code: str
    id: str
    why: dict[str, str]


@dataclass(frozen=True, kw_only=True)
class Kit:
    """A kit that was made earlier."""

    folder: Path
    base_url: str
    made_at: str
    until: str
    cases: tuple[Case, ...]

    def case(self, name: str) -> Case:
        """The case of this name."""
        return next(case for case in self.cases if case.name == name)

    def certificate_pem(self, case: Case) -> bytes:
        """The certificate of a case."""
        return (self.folder / case.files["certificate"]).read_bytes()

    def key(self, case: Case) -> HolderKey:
        """The private key of a case."""
        return load_key((self.folder / case.files["key"]).read_bytes())


def make_kit(
    folder: Path, *, at: datetime, base_url: str = DEFAULT_BASE_URL, years: int = 2, keep_keys: bool = False
) -> Kit:
    """Make a new kit.

    Args:
        folder: is made, and must not be there yet.
        at: when the kit begins; it serves for 190 days, because a trust list may not live longer.
        base_url: where the trust list and the revocation lists will be served.
        years: how long certificates are valid, 1 to 20.
        keep_keys: keep the keys of the CAs and officers, so that ``changes`` can revoke, renew, withdraw.

    Raises:
        KitError: ``FOLDER_EXISTS``, ``FOLDER_UNWRITABLE``, ``BASE_URL_MALFORMED``, ``YEARS_RANGE``.
    """
    if _URL.fullmatch(base_url) is None:
        raise KitError("BASE_URL_MALFORMED", url=base_url)
    if not 1 <= years <= 20:
        raise KitError("YEARS_RANGE", years=years)
    at, base_url = at.replace(microsecond=0), base_url.rstrip("/")
    try:
        folder.mkdir(parents=True)
    except FileExistsError as exc:
        raise KitError("FOLDER_EXISTS", folder=folder) from exc
    except OSError as exc:
        raise KitError("FOLDER_UNWRITABLE", folder=folder, detail=exc.strerror) from exc
    authorities = _establish(base_url, at=at, years=years)
    cases = _issue_all(folder, authorities, at=at, years=years)
    _write_site(folder / "site", authorities, at=at)
    officers = _write_list(folder, authorities, at=at)
    _write(folder / "pki" / "address", f"{base_url}/trust-list.json\n".encode())
    readme = "\n".join(text("KIT_README", language, password=PASSWORD) for language in ("en", "zh"))
    _write(folder / "README.md", readme.encode("utf-8"))
    if keep_keys:
        save_kept(folder, Kept(authorities=authorities, officers=officers, last_change=at))
    # Last, so that a kit that was not finished is none.
    made = Kit(
        folder=folder,
        base_url=base_url,
        made_at=format_time(at),
        until=format_time(at - timedelta(hours=1) + KIT_LASTS),
        cases=tuple(cases),
    )
    write_cases(made)
    return made


def write_cases(kit: Kit) -> None:
    """Write ``cases.json``."""
    about = {
        "schema": _SCHEMA,
        "base_url": kit.base_url,
        "made_at": kit.made_at,
        "until": kit.until,
        "password": PASSWORD,
        "cases": [asdict(case) for case in kit.cases],
    }
    replace_file(kit.folder / "cases.json", json.dumps(about, ensure_ascii=False, indent=1).encode("utf-8"))


def load_kit(folder: Path) -> Kit:
    """Read a kit.

    Raises:
        KitError: ``NOT_A_KIT``.
    """
    try:
        about: dict[str, Any] = json.loads((folder / "cases.json").read_bytes())
        if about["schema"] != _SCHEMA:
            raise KitError("NOT_A_KIT", folder=folder)
        return Kit(
            folder=folder,
            base_url=about["base_url"],
            made_at=about["made_at"],
            until=format_time(parse_time(about["until"], "until")),
            cases=tuple(Case(**case) for case in about["cases"]),
        )
    except (OSError, ValueError, KeyError, TypeError) as exc:
        raise KitError("NOT_A_KIT", folder=folder) from exc


def _establish(base_url: str, *, at: datetime, years: int) -> dict[str, Authority]:
    names = {row.id: f"{row.zh} {row.en}" for row in AUTHORITIES}
    # A CA lives longer than what it issues.
    end = at + (years + 1) * 365 * DAY
    authorities = {
        row.id: establish(
            row.id,
            names[row.name_of or row.id],
            row.keys,
            base_url=base_url,
            begin=at - 1000 * DAY,
            end=end,
            at=at - timedelta(hours=1),
        )
        for row in AUTHORITIES
    }
    for row in AUTHORITIES:
        if row.name_of:
            authorities[row.id].claimed_spki_der = authorities[row.name_of].key.spki_der
    return authorities


def _issue_all(folder: Path, authorities: dict[str, Authority], *, at: datetime, years: int) -> list[Case]:
    keys: dict[str, HolderKey] = {}
    cases = []
    for recipe in RECIPES:
        key = keys[recipe.same_key_as] if recipe.same_key_as else make_key(recipe.keys)
        keys[recipe.name] = key
        authority = authorities[recipe.authority]
        end = years * 365 if recipe.end is None else recipe.end
        certificate = _issue(recipe, authority, key, (at + recipe.begin * DAY, at + end * DAY))
        if recipe.revoked is not None:
            authority.revoked[certificate.serial_number] = recipe.revoked, at - timedelta(hours=1)
        cases.append(_write_case(folder, recipe, certificate, key))
    return cases


def issue_case(
    kit: Kit, recipe: Recipe, authority: Authority, key: HolderKey, period: tuple[datetime, datetime]
) -> Case:
    """Another certificate for the holder of a case, written in the place of the one before."""
    return _write_case(kit.folder, recipe, _issue(recipe, authority, key, period), key)


def _issue(
    recipe: Recipe, authority: Authority, key: HolderKey, period: tuple[datetime, datetime]
) -> x509.Certificate:
    extensions = recipe.extensions
    if extensions is None:
        profile = next(row.profile for row in AUTHORITIES if row.id == recipe.authority)
        extensions = fields_for(profile, entity=FIRM)
    request = CertificateRequest(
        subject=subject_name(recipe.common_name),
        spki_der=key.spki_der,
        not_before=period[0],
        not_after=period[1],
        usages=recipe.usages,
        extensions=extensions,
    )
    der = authority.issue(request, algorithm=recipe.algorithm)
    if recipe.altered:
        der = der.replace(FIRM.encode(), FIRM_ELSEWHERE.encode())
    return x509.load_der_x509_certificate(der)


def _write_case(folder: Path, recipe: Recipe, certificate: x509.Certificate, key: HolderKey) -> Case:
    files = {"certificate": f"holders/{recipe.name}.crt", "key": f"holders/{recipe.name}.key"}
    _write(folder / files["certificate"], certificate.public_bytes(serialization.Encoding.PEM))
    _write(folder / files["key"], key.pem)
    if isinstance(key, SoftKey):
        files["pkcs12"] = f"holders/{recipe.name}.p12"
        protection = _PROTECTION.build(PASSWORD.encode())
        name = f"TEST {recipe.name}".encode()
        packed = pkcs12.serialize_key_and_certificates(name, key.private, certificate, None, protection)
        _write(folder / files["pkcs12"], packed)
    row = f"CASE_{recipe.name.replace('-', '_').upper()}"
    return Case(
        name=recipe.name,
        files=files,
        expected=recipe.expected,
        code=recipe.code,
        id=recipe.id if recipe.expected == "accepted" else "",
        why={language: text(row, language) for language in ("zh", "en")},
    )


def _write_list(
    folder: Path, authorities: dict[str, Authority], *, at: datetime
) -> list[ec.EllipticCurvePrivateKey]:
    """The list with its root and a first timestamp; gives the officers' keys."""
    holders, begin = TrustHolders(), at - timedelta(hours=1)
    payload = trust_list_payload(authorities, at=begin, lasts=KIT_LASTS)
    _write(folder / "site" / LIST_FILE, sign_document(payload, typ=v.TYP, keys=holders.list.keys))
    root = holders.sign_root(at=begin, lasts=ROOT_LASTS)
    for place in (folder / "pki", folder / "site"):
        _write(place / ROOT_FILE, root)
    (key,) = holders.timestamp.keys
    _write(folder / "timestamp.key", SoftKey(key).pem)
    _write(folder / "site" / TIMESTAMP_FILE, sign_timestamp(folder, at=at))
    return list(holders.list.keys)


def sign_timestamp(folder: Path, *, at: datetime) -> bytes:
    """A timestamp that names the kit's root and list as the newest, for a day.

    Raises:
        KitError: ``NOT_A_KIT``.
    """
    try:
        key: Any = serialization.load_pem_private_key((folder / "timestamp.key").read_bytes(), None)
        return TrustHolders(timestamp=RoleHolders((key,), 1)).sign_timestamp(
            int(at.timestamp()),  # it only has to grow
            at=at,
            root=(folder / "site" / ROOT_FILE).read_bytes(),
            trust_list=(folder / "site" / LIST_FILE).read_bytes(),
        )
    except (OSError, ValueError) as exc:
        raise KitError("NOT_A_KIT", folder=folder) from exc


def _write_site(site: Path, authorities: dict[str, Authority], *, at: datetime) -> None:
    for row in AUTHORITIES:
        authority = authorities[row.id]
        begin = at - timedelta(hours=1)
        begin, end = (begin - 9 * DAY, begin - 2 * DAY) if row.crl_is_over else (begin, begin + KIT_LASTS)
        _write(site / "crls" / f"{row.id}.crl", authority.crl(this_update=begin, next_update=end))
        _write(site / "crls" / f"{row.id}-root.crl", authority.root_crl_der)
        _write(site / "certificates" / f"{row.id}.crt", authority.certificate_der)
        _write(site / "certificates" / f"{row.id}-root.crt", authority.root_der)


def _write(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
