"""What enforcement on one machine knows: whom to trust, who the people are, what they can prove.

[department]
folder = "/var/lib/onecert/department"        # as for every verifier: trust root, list, revocation lists
trust_list = "https://pki.example/trust-list.json"    # left out: nothing is fetched
application = "tax-server"
max_age_hours = 72                            # no revocation list of an authority that is older than this

[privileges]
folder = "/var/lib/onecert/privileges"        # see below
names = ["urn:onecert:app:tax-server"]        # who we are, for certificates that have targets
groups = []

[[authorities]]
file = "tax.pem"                              # in authorities/
roles = ["urn:onecert:role:tax.*"]
acrl = "https://pmi.example/acrl/tax.crl"     # where its list is published, for onecert-enforce lists

Beside what ``CredentialFolder`` reads there are ``holders/``, the certificates of the people, and for
delegations ``anchors/`` and ``crls/``: the CAs that issue the certificates of authorities, and their lists.
Where there is an anchor, each authority's certificate is validated up to one; without, only those of the
configuration count, and no delegation does.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from importlib import import_module
from pathlib import Path

from onecert.verifier.anchors import TrustAnchor
from onecert.verifier.attribute_certificate.acrl import RevocationList, StatusSource
from onecert.verifier.attribute_certificate.credential_folder import CredentialFolder, WatchedFolder
from onecert.verifier.attribute_certificate.credentials import Credentials
from onecert.verifier.attribute_certificate.extensions import TargetIdentity
from onecert.verifier.attribute_certificate.general_names import GeneralName
from onecert.verifier.attribute_certificate.roles import is_role_name
from onecert.verifier.attribute_certificate.trust import AttributeTrust, PathCheck, TrustedAuthority
from onecert.verifier.attribute_certificate.verify import AttributeCertificateVerifier
from onecert.verifier.certificate import ParsedCertificate, parse_certificate
from onecert.verifier.enforce.config import Table, check_owner
from onecert.verifier.enforce.proof import Proved, Prover
from onecert.verifier.errors import CouldNotCheckError, VerifyError
from onecert.verifier.evidence import CrlFolder
from onecert.verifier.identity.pairwise import load_pairwise_key
from onecert.verifier.limits import DEFAULT_LIMITS
from onecert.verifier.path import PathParameters, PathValidator
from onecert.verifier.purposes import ATTRIBUTE_AUTHORITY
from onecert.verifier.revocation import Crl, RevocationEvidence, load_crl
from onecert.verifier.trust_list import FileState
from onecert.verifier.trust_list.folder import TrustListFolder
from onecert.verifier.trust_list.root_folder import RootFolder
from onecert.verifier.verifier import Verifier

__all__ = [
    "ROLE_PATTERN",
    "AuthorityConfig",
    "Department",
    "DepartmentConfig",
    "Person",
    "check_folders",
    "is_role_pattern",
    "trust_of",
]

ROLE_PATTERN = r"[\x21-\x7e]{3,501}"
AUTHORITY_FILE = r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}"
_BUNDLE = "bundle.zip"
_URL = r"https?://[\x21-\x7e]{1,2000}"
_URI = r"[A-Za-z][A-Za-z0-9+.-]*:[\x21-\x7e]{1,499}"


@dataclass(frozen=True, kw_only=True)
class AuthorityConfig:
    """One authority: the file of its certificate, the roles it may assign, where its list is published."""

    file: str
    roles: frozenset[str]
    acrl: str | None = None


@dataclass(frozen=True, kw_only=True)
class DepartmentConfig:
    """The part of the configuration that all programs of enforcement share; see the module's text."""

    folder: Path
    trust_list: str | None
    application: str
    max_age: timedelta
    privileges: Path
    names: tuple[str, ...]
    groups: tuple[str, ...]
    authorities: tuple[AuthorityConfig, ...]

    @classmethod
    def read(cls, top: Table) -> DepartmentConfig:
        """Read it; faults are noted in the table."""
        own, privileges = top.table("department"), top.table("privileges")
        made = cls(
            folder=own.path("folder"),
            trust_list=own.text("trust_list", pattern=_URL) if own.has("trust_list") else None,
            application=own.text("application", pattern=r"[A-Za-z0-9._-]{1,64}"),
            max_age=timedelta(hours=own.number("max_age_hours", 72, least=0.01, most=24 * 366)),
            privileges=privileges.path("folder"),
            names=privileges.texts("names", pattern=_URI, needed=False),
            groups=privileges.texts("groups", pattern=_URI, needed=False),
            authorities=tuple(_authority(each) for each in top.tables("authorities")),
        )
        own.finish()
        privileges.finish()
        if not made.authorities:
            top.fault("authorities", "must name at least one: [[authorities]]")
        return made


def _authority(table: Table) -> AuthorityConfig:
    found = AuthorityConfig(
        file=table.text("file", pattern=AUTHORITY_FILE),
        roles=frozenset(table.texts("roles", pattern=ROLE_PATTERN, check=is_role_pattern)),
        acrl=table.text("acrl", pattern=_URL) if table.has("acrl") else None,
    )
    table.finish()
    return found


def is_role_pattern(text: str) -> bool:
    """Tell whether this names a role, or with a trailing ``*`` all that begin like it."""
    return is_role_name(text.removesuffix("*")) and "*" not in text[:-1]


@dataclass(frozen=True, kw_only=True)
class Person:
    """One certificate of somebody who may hold roles, and what it proves.

    Args:
        file: where it lies, in ``holders/``.
        identity: the canonical id of the person, or of the entity where it is nobody's in particular;
            ``None`` when the certificate does not verify, and then ``error`` says why.
    """

    file: str
    certificate: ParsedCertificate
    identity: str | None
    proved: Proved | None
    error: VerifyError | None

    @property
    def roles(self) -> frozenset[str]:
        """The roles that are proved now."""
        return self.proved.roles if self.proved is not None else frozenset()

    @property
    def unknown(self) -> bool:
        """Whether more could be true than could be checked."""
        if self.proved is not None:
            return bool(self.proved.unknown)
        return isinstance(self.error, CouldNotCheckError)


def check_folders(config: DepartmentConfig) -> None:
    """Check that nobody but root and who runs this program decides whom to trust: as ``check_owner``.

    Raises:
        ConfigError: others may write there.
    """
    for folder in (config.folder, config.privileges / "authorities", config.privileges / "anchors"):
        if folder.exists():
            check_owner(folder)


class Department:
    """Everything that is known on this machine. Made once; files that change count at the next question."""

    def __init__(
        self,
        config: DepartmentConfig,
        *,
        verifier: Verifier | None = None,
        look_every: timedelta = timedelta(seconds=1),
    ) -> None:
        """Open the folders.

        Args:
            look_every: ``prover`` does not look at them more often than this; ``people`` always does.

        Raises:
            VerifyError: a part that is needed is missing or cannot be read.
        """
        self.folder = CredentialFolder(config.privileges, look_every=look_every)
        names = (".pem", ".der", ".crt", ".cer")
        self._holders = WatchedFolder(
            config.privileges / "holders", names, parse_certificate, look_every=look_every
        )
        trust = trust_of(config, self.folder)
        self._lists = self.folder.status()
        status = _NotTooOld(self._lists, config.max_age)
        self.prover = Prover(
            verifier=AttributeCertificateVerifier(trust=trust, status=status),
            source=self.folder,
            target=_target(config),
            before=status.come_to,
        )
        self.verifier = verifier or _open(config)

    def people(self, at: datetime, *, key_spki_der: bytes | None = None) -> tuple[Person, ...]:
        """Everybody whose certificate lies in ``holders/``, in the order of the files.

        Args:
            key_spki_der: only those with this key (SubjectPublicKeyInfo, DER), where the service knows it.

        Raises:
            CouldNotCheckError: a folder cannot be read; ``DEPARTMENT_LIST``: there is no trust list to go by,
                so that nobody could be told from a stranger.
        """
        for folder in (self.folder, self._holders, self._lists):
            folder.look_again()
        try:
            # Of the base class: an offline verifier would ask for the age that signed forms need.
            Verifier.trust_list(self.verifier, at)
        except VerifyError as exc:
            raise CouldNotCheckError("DEPARTMENT_LIST", reason=exc.code) from exc
        return tuple(
            self._person(file, each, at)
            for file, each in self._holders.values().items()
            if key_spki_der is None or each.spki_der == key_spki_der
        )

    def _person(self, file: str, certificate: ParsedCertificate, at: datetime) -> Person:
        identity, proved, error = None, None, None
        try:
            found = self.verifier.verify(certificate, at=at).identity
            identity = found.id if found.person is None else found.person.id or found.id
            entity = None if found.entity is None else found.entity.id
            source = _Entity(self.folder, entity)
            proved = self.prover.prove(certificate, identity=found.id, entity=entity, at=at, source=source)
        except VerifyError as exc:
            error = exc
        return Person(file=file, certificate=certificate, identity=identity, proved=proved, error=error)


def trust_of(config: DepartmentConfig, folder: CredentialFolder) -> AttributeTrust:
    """The authorities that the configuration names, by their certificates in the folder.

    Raises:
        CouldNotCheckError: ``FILE_UNREADABLE``: one has no certificate there.
    """
    known = folder.authorities()
    found = []
    for each in config.authorities:
        if each.file not in known:
            path = config.privileges / "authorities" / each.file
            raise CouldNotCheckError("FILE_UNREADABLE", path=path, detail="no certificate is there")
        found.append(TrustedAuthority.from_certificate(known[each.file], roles=each.roles))
    return AttributeTrust(authorities=tuple(found), check_path=_path_check(config.privileges))


def _path_check(folder: Path) -> PathCheck | None:
    names = (".pem", ".crt", ".cer", ".der")
    anchors = WatchedFolder(folder / "anchors", names, parse_certificate).values()
    if not anchors:
        return None
    lists = WatchedFolder(folder / "crls", (".crl", ".pem"), load_crl, look_every=timedelta(0),
                          max_bytes=DEFAULT_LIMITS.crl_max_bytes)  # fmt: skip
    evidence = RevocationEvidence()
    validator = PathValidator(
        anchors=[TrustAnchor.from_certificate(each) for each in anchors.values()],
        evidence=evidence,
        parameters=PathParameters(purpose=ATTRIBUTE_AUTHORITY),
    )
    known: dict[str, Crl] = {}

    def check(certificate: ParsedCertificate, at: datetime) -> object:
        nonlocal known
        found = lists.values()
        if found is not known:
            evidence.replace_crls(list(found.values()))
            known = found
        return validator.validate(certificate, at=at)

    return check


@dataclass(frozen=True)
class _Entity:
    """The folder, asked for an entity's certificates too."""

    folder: CredentialFolder
    entity: str | None

    def find(self, certificate: ParsedCertificate) -> Credentials:
        return self.folder.find(certificate, identity=self.entity)


class _NotTooOld:
    """Revocation lists no older than a bound, whatever they say themselves of their next update."""

    def __init__(self, source: StatusSource, max_age: timedelta) -> None:
        self._source, self._max_age = source, max_age
        self._at: datetime | None = None

    def come_to(self, at: datetime) -> None:
        """The time by which ages are judged."""
        self._at = at

    def find_list(self, authority: TrustedAuthority) -> RevocationList | None:
        found = self._source.find_list(authority)
        if found is None or self._at is None or self._at - found.this_update <= self._max_age:
            return found
        # What it revokes is still revoked; all else is not known any more.
        return RevocationList(
            authority=found.authority,
            number=found.number,
            this_update=found.this_update,
            next_update=min(found.next_update, found.this_update + self._max_age),
            revoked=found.revoked,
        )


def _target(config: DepartmentConfig) -> TargetIdentity | None:
    if not config.names and not config.groups:
        return None
    names, groups = (tuple(map(GeneralName.uri, each)) for each in (config.names, config.groups))
    return TargetIdentity(names, groups)


def _open(config: DepartmentConfig) -> Verifier:
    folder, application = config.folder, config.application
    # Loaded when they are needed: somebody waits for this program at each login.
    if config.trust_list is not None:
        open_it = import_module("onecert.verifier.department").open_verifier
        return open_it(folder, trust_list=config.trust_list, application=application)  # type: ignore[no-any-return]  # loaded by its name
    if (folder / _BUNDLE).exists():
        open_it = import_module("onecert.verifier.bundle").open_offline_verifier
        return open_it(folder, application=application, max_age=config.max_age)  # type: ignore[no-any-return]  # loaded by its name
    return Verifier(
        trust_list=TrustListFolder(
            folder, root=RootFolder(folder)()[-1], state=FileState(folder / "state" / "trust.json")
        ),
        evidence=CrlFolder(folder / "crls"),
        application=application,
        pairwise_key=load_pairwise_key(folder / "pairwise.key", create=True),
    )
