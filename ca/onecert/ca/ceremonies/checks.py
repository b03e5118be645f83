"""What a ceremony file says of authorities that are there already, compared with the record."""

from __future__ import annotations

from collections.abc import Iterator

from cryptography import x509

from onecert.ca.authorities.authorities import ACTIVE, Authorities, Authority
from onecert.ca.ceremonies.plans import AuthorityPlan, CeremonyFile, CertifiedPlan, OutsidePlan
from onecert.ca.certificates.draft import raw_subject
from onecert.ca.errors import CeremonyFileError
from onecert.ca.signatures.algorithms import spki_der

__all__ = ["check_against_record", "issuer_name"]


def issuer_name(file: CeremonyFile, plan: AuthorityPlan, authorities: Authorities) -> str:
    """Name the authority that certifies an issuing authority of this ceremony."""
    if plan.issuer or file.root is None:
        return plan.issuer or authorities.get(plan.rekeys).issuer_name
    return file.root.name


def check_against_record(file: CeremonyFile, authorities: Authorities) -> None:
    """Check what the file names.

    Raises:
        CeremonyFileError: with every fault.
    """
    known = {authority.name: authority for authority in authorities.reload()}
    faults = [fault for plan in file.plans for fault in _plan_faults(file, plan, known)]
    if file.certified is not None:
        faults += _certified_faults(file.certified, known)
    if file.kind == "received" and file.outside is not None:
        faults += _received_faults(file.outside, known)
    if faults:
        raise CeremonyFileError(faults)


def _plan_faults(file: CeremonyFile, plan: AuthorityPlan, known: dict[str, Authority]) -> Iterator[str]:
    if plan.rekeys:
        before = known.get(plan.rekeys)
        if before is None or before.kind != plan.role:
            yield f"“{plan.rekeys}”, to be re-keyed, is not an authority of this kind"
        elif any(each.predecessor == plan.rekeys and each.name != plan.name for each in known.values()):
            yield f"“{plan.rekeys}” was re-keyed before; re-key its successor"
        elif not plan.issuer and plan.role == "issuing" and before.issuer_name == before.name:
            yield f"“{plan.rekeys}” was certified by others: hold a ceremony “request”"
    if plan.issuer:
        yield from _issuer_faults(plan.issuer, known)
    if plan.line and plan.line != plan.name and plan.line not in {each.line for each in known.values()}:
        yield f"“{plan.line}” is no name that orders are made by"
    if plan.name in {each.line for each in known.values() if each.name not in {plan.name, each.line}}:
        yield f"“{plan.name}” is a name that orders are made by"


def _issuer_faults(name: str, known: dict[str, Authority]) -> Iterator[str]:
    issuer = known.get(name)
    if issuer is None:
        yield f"there is no authority “{name}”"
    elif not issuer.is_root:
        yield f"“{name}” certifies holders, not authorities"
    elif issuer.state != ACTIVE:
        yield f"“{name}” is {issuer.state}"


def _certified_faults(plan: CertifiedPlan, known: dict[str, Authority]) -> Iterator[str]:
    yield from _issuer_faults(plan.issuer, known)
    if plan.name in known:
        yield f"“{plan.name}” is an authority of ours"
    for authority in known.values():
        if spki_der(authority.issuer.public_key) == plan.spki_der:
            yield f"the key is that of “{authority.name}”, an authority of ours"
    issuer = known.get(plan.issuer)
    if issuer is not None:
        if plan.terms.subject_der == issuer.issuer.subject_der:
            yield f"the other CA has the name of “{plan.issuer}”"
        limit = _path_length(issuer)
        if limit is not None and (plan.profile.path_length is None or plan.profile.path_length >= limit):
            yield f"“path_length” must be less than that of “{plan.issuer}”, which is {limit}"


def _received_faults(outside: OutsidePlan, known: dict[str, Authority]) -> Iterator[str]:
    authority = known.get(outside.authority)
    if authority is None:
        yield f"there is no authority “{outside.authority}”"
        return
    for number, certificate_der in enumerate(outside.certificates_der, start=1):
        certificate = x509.load_der_x509_certificate(certificate_der)
        if raw_subject(certificate.tbs_certificate_bytes) != authority.issuer.subject_der:
            yield f"certificate {number} is not for the name of “{authority.name}”"
        if certificate.public_key() != authority.issuer.public_key:
            yield f"certificate {number} is not for the key of “{authority.name}”"
        if certificate_der == authority.certificate_der:
            yield f"certificate {number} is the one that “{authority.name}” has already"


def _path_length(authority: Authority) -> int | None:
    certificate = x509.load_der_x509_certificate(authority.certificate_der)
    return certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.path_length
