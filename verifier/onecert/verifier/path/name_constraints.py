"""Name constraints: RFC 5280, section 4.2.1.10.

Each constraining certificate adds a layer; a name must satisfy every layer. How names of each form are
compared is in ``name_forms``. Names of a form that has no row there are outside the constraints unless a
layer speaks about their form: then they cannot be checked, and the certificate is refused.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from onecert.verifier.certificate import ParsedCertificate
from onecert.verifier.der import DerError, Reader
from onecert.verifier.errors import MalformedError, RefusedError
from onecert.verifier.extensions import GeneralName, NameConstraints, Subtree, parse_name_constraints
from onecert.verifier.limits import Limits
from onecert.verifier.names import display_name, email_addresses
from onecert.verifier.path.inputs import Budget
from onecert.verifier.path.name_forms import DIRECTORY, EMAIL, IP, Matcher, comparable_forms, form_of

__all__ = ["Layer", "check_names", "layer_from_der"]

_KINDS = {
    0: "otherName",
    1: "rfc822Name",
    2: "dNSName",
    3: "x400Address",
    4: "directoryName",
    5: "ediPartyName",
    6: "uniformResourceIdentifier",
    7: "iPAddress",
    8: "registeredID",
}


@dataclass(frozen=True, slots=True)
class Layer:
    """The constraints of one authority."""

    authority: str
    constraints: NameConstraints


def layer_from_der(authority: str, constraints_der: bytes) -> Layer:
    """A layer from the DER of a NameConstraints value.

    Raises:
        MalformedError: it is not one.
    """
    reader = Reader(constraints_der)
    try:
        constraints = parse_name_constraints(reader)
        reader.done()
    except DerError as exc:
        raise MalformedError("NOT_DER", kind="NameConstraints", detail=str(exc)) from exc
    return Layer(authority, constraints)


def check_names(
    certificate: ParsedCertificate, layers: tuple[Layer, ...], *, budget: Budget, limits: Limits
) -> None:
    """Section 6.1.3 (b) and (c).

    Raises:
        RefusedError: ``NAME_CONSTRAINT``, ``NAME_CONSTRAINT_UNSUPPORTED``, ``CERT_TOO_COMPLEX``.
        BudgetError: too many names times too many constraints.
    """
    names = list(_names(certificate))
    if len(names) > limits.names_max:
        raise RefusedError(
            "CERT_TOO_COMPLEX",
            certificate=certificate.certificate,
            subject=certificate.subject_text,
            kind="names",
            max=limits.names_max,
        )
    for layer in layers:
        permitted, excluded = layer.constraints.permitted, layer.constraints.excluded
        budget.compare(len(names) * (len(permitted) + len(excluded)))
        for name in names:
            _check_name(certificate, name, layer)


def _names(certificate: ParsedCertificate) -> Iterator[GeneralName]:
    if certificate.subject:
        yield GeneralName(DIRECTORY, certificate.subject_der)
    # RFC 5280 asks for this only without a subjectAltName; an address is an address wherever it stands.
    for address in email_addresses(certificate.subject_der):
        yield GeneralName(EMAIL, address.encode("utf-8"))
    yield from certificate.alternative_names


def _check_name(certificate: ParsedCertificate, name: GeneralName, layer: Layer) -> None:
    for form, value, matches in comparable_forms(name):
        in_excluded = [tree for tree in layer.constraints.excluded if form_of(tree.base) == form]
        in_permitted = [tree for tree in layer.constraints.permitted if form_of(tree.base) == form]
        if not in_excluded and not in_permitted:
            continue
        if matches is None or any(tree.bounded for tree in (*in_excluded, *in_permitted)):
            raise RefusedError(
                "NAME_CONSTRAINT_UNSUPPORTED",
                certificate=certificate.certificate,
                source="RFC 5280, section 4.2.1.10",
                authority=layer.authority,
                kind=_KINDS.get(name.tag, str(name.tag)),
            )
        try:
            if any(matches(value, tree.base.value, False) for tree in in_excluded):
                _refuse(certificate, name, layer)
            if in_permitted and not _permitted(matches, value, in_permitted):
                _refuse(certificate, name, layer)
        except (DerError, ValueError):
            # A name that cannot be read cannot be shown to be allowed.
            _refuse(certificate, name, layer)


def _permitted(matches: Matcher, value: bytes, trees: list[Subtree]) -> bool:
    return any(matches(value, tree.base.value, True) for tree in trees)


def _refuse(certificate: ParsedCertificate, name: GeneralName, layer: Layer) -> None:
    if name.tag == DIRECTORY:
        shown = display_name(name.value)
    else:
        shown = name.value.decode("utf-8", "replace") if name.value.isascii() and name.tag != IP else ""
    raise RefusedError(
        "NAME_CONSTRAINT",
        certificate=certificate.certificate,
        source="RFC 5280, section 6.1.3 (b), (c)",
        subject=certificate.subject_text,
        name=shown or name.value.hex(),
        authority=layer.authority,
    ) from None
