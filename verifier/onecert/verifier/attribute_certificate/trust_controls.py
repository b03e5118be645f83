"""``AAControls`` (RFC 5755, section 7.4): what certificates of authorities let them assign.

Excluded types win over permitted ones; from the first certificate of a path that has the extension down to
that of the authority all must have it, and each of them binds.
"""

from __future__ import annotations

from dataclasses import dataclass

from cryptography.hazmat import asn1

from onecert.verifier.attribute_certificate import asn1 as syntax
from onecert.verifier.attribute_certificate.asn1 import Oid
from onecert.verifier.attribute_certificate.findings import Finding
from onecert.verifier.certificate import ParsedCertificate
from onecert.verifier.errors import MalformedError
from onecert.verifier.result import ValidatedPath

AA_CONTROLS = Oid.AA_CONTROLS.dotted_string


@dataclass(frozen=True, slots=True)
class Controls:
    """The ``AAControls`` of an authority's certificate; without the extension everything is permitted."""

    permitted: frozenset[str] = frozenset()
    excluded: frozenset[str] = frozenset()
    permit_unspecified: bool = True
    path_length: int | None = None

    @classmethod
    def from_der(cls, value: bytes) -> Controls:
        """Read the value of the extension.

        Raises:
            MalformedError: it is not ``AAControls``.
        """
        try:
            read = asn1.decode_der(syntax.AAControls, value)
        except (ValueError, TypeError) as exc:
            raise MalformedError("NOT_DER", kind="aaControls", detail=str(exc)) from exc
        if read.path_length is not None and read.path_length < 0:
            raise MalformedError("NOT_DER", kind="aaControls", detail="pathLenConstraint")
        return cls(
            frozenset(oid.dotted_string for oid in read.permitted or ()),
            frozenset(oid.dotted_string for oid in read.excluded or ()),
            read.permit_unspecified,
            read.path_length,
        )

    def permit(self, oid: str) -> bool:
        """Tell whether an attribute of this type passes; excluded wins over permitted."""
        if oid in self.excluded:
            return False
        return oid in self.permitted or self.permit_unspecified


@dataclass(frozen=True, slots=True)
class Examined:
    """What was found out about an authority: faults, and the ``AAControls`` that bind it."""

    findings: tuple[Finding, ...] = ()
    controls: tuple[Controls, ...] = ()

    def permit(self, oid: str) -> bool:
        """Tell whether every one of the controls lets an attribute of this type pass."""
        return all(controls.permit(oid) for controls in self.controls)


NOTHING_SAID = Examined()


def controls_along(certificate: ParsedCertificate, path: object) -> tuple[tuple[Controls, ...], str]:
    """Read the controls along the path of an authority, and what is wrong with them, or an empty text.

    RFC 5755, section 7.4: from the first certificate that has the extension down to that of the authority all
    must have it, and each of them binds.
    """
    chain = path.chain if isinstance(path, ValidatedPath) else (certificate,)
    if not any(AA_CONTROLS in each.extensions for each in chain):
        return (), ""
    values = [each.extension_value(AA_CONTROLS) for each in chain]
    topmost = max(index for index, value in enumerate(values) if value is not None)
    controls = []
    between = 0
    for index, value in enumerate(values[: topmost + 1]):
        if value is None:
            return (), "AA_CONTROLS"
        read = Controls.from_der(value)
        if index and read.path_length is not None and between > read.path_length:
            return (), "AA_CONTROLS"
        between += index > 0 and not chain[index].is_self_issued
        controls.append(read)
    return tuple(controls), ""
