"""What a certificate is to be used for, and which key usage that needs."""

from __future__ import annotations

from dataclasses import dataclass

from onecert.verifier.certificate import ParsedCertificate
from onecert.verifier.errors import RefusedError
from onecert.verifier.extensions import ANY_EXTENDED_KEY_USAGE

__all__ = [
    "ANY",
    "ATTRIBUTE_AUTHORITY",
    "CLIENT",
    "CRL_SIGNING",
    "ENCRYPTION",
    "KEY_USAGE_NAMES",
    "LOGIN",
    "OCSP_SIGNING",
    "SERVER",
    "SIGNING",
    "TIMESTAMPING",
    "Purpose",
]

KEY_USAGE_NAMES = (
    "digitalSignature",
    "nonRepudiation",
    "keyEncipherment",
    "dataEncipherment",
    "keyAgreement",
    "keyCertSign",
    "cRLSign",
    "encipherOnly",
    "decipherOnly",
)


@dataclass(frozen=True, kw_only=True)
class Purpose:
    """A use of a certificate.

    Args:
        name: for texts and results.
        key_usages: one of these bits must be set; empty for any use.
        allow_no_key_usage: accept a certificate without the extension, which then allows everything.
        extended_key_usages: one of these must be listed if the extension is there; empty for any use.
        require_extended_key_usage: the extension must be there, and must name the use itself.
        allow_any_extended_key_usage: anyExtendedKeyUsage counts as all of them.
        nested: CA certificates that list extended key usages limit those below them, as TLS software reads
        it.
    """

    name: str
    key_usages: frozenset[int] = frozenset()
    allow_no_key_usage: bool = True
    extended_key_usages: frozenset[str] = frozenset()
    require_extended_key_usage: bool = False
    allow_any_extended_key_usage: bool = True
    nested: bool = True

    def check(self, target: ParsedCertificate) -> None:
        """Refuse an end certificate whose extensions exclude this use.

        Raises:
            RefusedError: ``KEY_USAGE`` or ``EXTENDED_KEY_USAGE``.
        """
        usage = target.key_usage
        if self.key_usages and (
            not self.allow_no_key_usage if usage is None else not usage & self.key_usages
        ):
            raise RefusedError(
                "KEY_USAGE",
                certificate=target.certificate,
                source="RFC 5280, section 4.2.1.3",
                subject=target.subject_text,
                purpose=self.name,
                found=[KEY_USAGE_NAMES[bit] for bit in sorted(usage or ()) if bit < len(KEY_USAGE_NAMES)],
            )
        if target.extended_key_usage is None:
            allowed = not self.require_extended_key_usage
        else:
            allowed = self._extended_allowed(target.extended_key_usage)
        if not allowed:
            self._refuse_extended(target)

    def check_ca(self, certificate: ParsedCertificate) -> None:
        """Refuse a CA certificate whose extended key usage excludes this use below it."""
        usages = certificate.extended_key_usage
        if self.nested and usages is not None and not self._extended_allowed(usages | self._ca_extra(usages)):
            self._refuse_extended(certificate)

    def _ca_extra(self, usages: frozenset[str]) -> frozenset[str]:
        # For a CA, anyExtendedKeyUsage always means no limit.
        return self.extended_key_usages if ANY_EXTENDED_KEY_USAGE in usages else frozenset()

    def _extended_allowed(self, usages: frozenset[str]) -> bool:
        if not self.extended_key_usages or usages & self.extended_key_usages:
            return True
        return self.allow_any_extended_key_usage and ANY_EXTENDED_KEY_USAGE in usages

    def _refuse_extended(self, certificate: ParsedCertificate) -> None:
        raise RefusedError(
            "EXTENDED_KEY_USAGE",
            certificate=certificate.certificate,
            source="RFC 5280, section 4.2.1.12",
            subject=certificate.subject_text,
            purpose=self.name,
        )


_KP = "1.3.6.1.5.5.7.3."
_DIGITAL_SIGNATURE, _NON_REPUDIATION = 0, 1

ANY = Purpose(name="any use")
# nonRepudiation alone signs forms but does not log in. Field CAs put emailProtection or their own usages
# beside clientAuth; Microsoft's smart-card logon is one of the usual ones.
LOGIN = Purpose(
    name="login",
    key_usages=frozenset({_DIGITAL_SIGNATURE}),
    allow_no_key_usage=False,
    extended_key_usages=frozenset({_KP + "2", "1.3.6.1.4.1.311.20.2.2"}),
)
SIGNING = Purpose(
    name="signing",
    key_usages=frozenset({_DIGITAL_SIGNATURE, _NON_REPUDIATION}),
    extended_key_usages=frozenset({_KP + "2", _KP + "4", _KP + "36"}),
)
ENCRYPTION = Purpose(name="encryption", key_usages=frozenset({2, 3, 4}), allow_no_key_usage=False)
CLIENT = Purpose(
    name="TLS client",
    key_usages=frozenset({_DIGITAL_SIGNATURE, 4}),
    extended_key_usages=frozenset({_KP + "2"}),
)
SERVER = Purpose(
    name="TLS server",
    key_usages=frozenset({_DIGITAL_SIGNATURE, 2, 4}),
    extended_key_usages=frozenset({_KP + "1"}),
)
CRL_SIGNING = Purpose(name="CRL signing", key_usages=frozenset({6}), nested=False)
TIMESTAMPING = Purpose(
    name="timestamping",
    key_usages=frozenset({_DIGITAL_SIGNATURE, _NON_REPUDIATION}),
    extended_key_usages=frozenset({_KP + "8"}),
    require_extended_key_usage=True,
    allow_any_extended_key_usage=False,
)
OCSP_SIGNING = Purpose(
    name="OCSP signing",
    key_usages=frozenset({_DIGITAL_SIGNATURE, _NON_REPUDIATION}),
    extended_key_usages=frozenset({_KP + "9"}),
    require_extended_key_usage=True,
    allow_any_extended_key_usage=False,
    nested=False,
)
# RFC 5755, section 4.5: the AC issuer's key usage must not exclude signing.
ATTRIBUTE_AUTHORITY = Purpose(name="attribute authority", key_usages=frozenset({_DIGITAL_SIGNATURE}))
