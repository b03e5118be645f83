"""Trust anchors: a name and a key that we trust, with the limits of that trust.

An anchor is an entry of a list, not a certificate (RFC 5280, section 6.1.1 (d); RFC 5937): it may be a root
or an issuing CA, and its own certificate's extensions count only when the list says so.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import Any

from cryptography import x509

from onecert.verifier.arguments import check_aware, check_count, check_kind
from onecert.verifier.certificate import ParsedCertificate, as_parsed
from onecert.verifier.der import DerError
from onecert.verifier.errors import MalformedError, RefusedError
from onecert.verifier.extensions import ANY_POLICY, PROCESSED, PolicyConstraints
from onecert.verifier.names import CanonicalName, canonical_name, display_name
from onecert.verifier.signatures import PublicKey, load_public_key, spki_der

__all__ = ["TrustAnchor"]


@dataclass(frozen=True, kw_only=True)
class TrustAnchor:
    """One entry of what is trusted: a name and a key, with the limits of that trust.

    Args:
        name_der: subject name of the anchor, DER.
        public_key_der: its SubjectPublicKeyInfo, DER.
        label: what the list calls it; comes back in the result, never compared.
        valid_from, valid_until: when the trust begins and ends, both included; ``None`` for no bound.
        max_path_length: CA certificates allowed below; ``None`` for no bound.
        policies: policies the anchor may stand for; ``None`` for any.
        require_explicit_policy: after how many certificates a policy must be valid along the path, 0 for at
        once; ``None`` for never. So also inhibit_policy_mapping and inhibit_any_policy, after which policies
        are not mapped and anyPolicy stands for nothing. Self-issued certificates do not count.
        constraints_der: a DER NameConstraints that applies to everything below; ``None`` for no bound.
        subject_key_id: for finding it faster and for CRL signers.
        key_usage: bits that limit what the key may sign; ``None`` for no limit.
        certificate: the certificate the entry came from, if any.
    """

    name_der: bytes
    public_key_der: bytes
    label: str = ""
    valid_from: datetime | None = None
    valid_until: datetime | None = None
    max_path_length: int | None = None
    policies: frozenset[str] | None = None
    require_explicit_policy: int | None = None
    inhibit_policy_mapping: int | None = None
    inhibit_any_policy: int | None = None
    constraints_der: bytes | None = None
    subject_key_id: bytes | None = None
    key_usage: frozenset[int] | None = None
    certificate: x509.Certificate | None = field(default=None, compare=False)

    def __post_init__(self) -> None:
        """Raise ``TypeError`` or ``ValueError`` for times without a zone, what is no DER, and no count."""
        check_kind(self.name_der, bytes, "name_der")
        check_kind(self.public_key_der, bytes, "public_key_der")
        for bound, what in ((self.valid_from, "valid_from"), (self.valid_until, "valid_until")):
            if bound is not None:
                check_aware(bound, what)
        for count, what in (
            (self.max_path_length, "max_path_length"),
            (self.require_explicit_policy, "require_explicit_policy"),
            (self.inhibit_policy_mapping, "inhibit_policy_mapping"),
            (self.inhibit_any_policy, "inhibit_any_policy"),
        ):
            if count is not None:
                check_count(count, what)
        if isinstance(self.policies, (str, bytes)):
            raise TypeError("policies must be a set of object identifiers, not one string")

    @classmethod
    def from_certificate(
        cls,
        certificate: x509.Certificate | ParsedCertificate | bytes,
        *,
        label: str = "",
        use_extensions: bool = False,
    ) -> TrustAnchor:
        """Take name, key and dates of a certificate; nothing about it is checked, because you trust it.

        Args:
            certificate: DER or PEM bytes, or a loaded one.
            label: what results call the anchor, at most some 200 characters.
            use_extensions: also its path length, name constraints, key usage, policies and their constraints
            (RFC 5937).

        Raises:
            MalformedError: the bytes are no certificate.
            RefusedError: its extensions count, and say that it is no CA (``NOT_A_CA``) or hold something
            critical that nobody here knows (``UNKNOWN_CRITICAL_EXTENSION``).
        """
        parsed = as_parsed(certificate)
        if use_extensions:
            _check_extensions(parsed)
        limits = _limits_of(parsed) if use_extensions else {}
        return cls(
            name_der=parsed.subject_der,
            public_key_der=parsed.spki_der,
            label=label,
            valid_from=parsed.not_before,
            valid_until=parsed.not_after,
            subject_key_id=parsed.subject_key_id,
            certificate=parsed.certificate,
            **limits,
        )

    @classmethod
    def from_key(cls, name: x509.Name, public_key: PublicKey, *, label: str = "") -> TrustAnchor:
        """An anchor without a certificate: a name and a key, trusted without end and without limits."""
        return cls(name_der=name.public_bytes(), public_key_der=spki_der(public_key), label=label)

    @cached_property
    def name(self) -> CanonicalName:
        """Canonical form of the name.

        Raises:
            MalformedError: ``NOT_DER``.
        """
        try:
            return canonical_name(self.name_der)
        except DerError as exc:
            raise MalformedError("NOT_DER", kind="name", detail=str(exc)) from exc

    @cached_property
    def public_key(self) -> PublicKey:
        """The key, loaded once.

        Raises:
            RefusedError: the key cannot be used.
        """
        return load_public_key(self.public_key_der)

    @property
    def subject(self) -> str:
        """The name for people."""
        return display_name(self.name_der)


def _limits_of(certificate: ParsedCertificate) -> dict[str, Any]:
    """What the extensions of a certificate mean to whoever trusts it, by the names of ``TrustAnchor``."""
    basic, policies = certificate.basic_constraints, certificate.policies
    constraints = certificate.policy_constraints or PolicyConstraints(None, None)
    return {
        "max_path_length": basic.path_length if basic else None,
        "constraints_der": certificate.extension_value("2.5.29.30"),
        "key_usage": certificate.key_usage,
        "policies": None if policies is None or ANY_POLICY in policies else frozenset(policies),
        "require_explicit_policy": constraints.require_explicit_policy,
        "inhibit_policy_mapping": constraints.inhibit_policy_mapping,
        "inhibit_any_policy": certificate.inhibit_any_policy,
    }


def _check_extensions(certificate: ParsedCertificate) -> None:
    # A certificate of version 1 has no extensions, and so none that speak against it.
    if certificate.extensions and not certificate.is_ca:
        raise RefusedError(
            "NOT_A_CA",
            certificate=certificate.certificate,
            source="RFC 5280, section 4.2.1.9",
            subject=certificate.subject_text,
        )
    for oid, extension in certificate.extensions.items():
        if extension.critical and oid not in PROCESSED:
            raise RefusedError(
                "UNKNOWN_CRITICAL_EXTENSION",
                certificate=certificate.certificate,
                source="RFC 5280, section 4.2",
                subject=certificate.subject_text,
                oid=oid,
            )
