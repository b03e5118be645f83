"""Name constraints: RFC 5280, section 4.2.1.10, for directory, DNS, e-mail, URI and IP names.

Each constraining certificate adds a layer; a name must satisfy every layer. Names of other kinds are
outside the constraints unless a layer speaks about their kind: then they cannot be checked, and the
certificate is refused.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from onecert.verifier.certificate import ParsedCertificate
from onecert.verifier.der import DerError, Reader
from onecert.verifier.errors import MalformedError, RefusedError
from onecert.verifier.extensions import GeneralName, NameConstraints, Subtree, parse_name_constraints
from onecert.verifier.limits import Limits
from onecert.verifier.names import canonical_name, display_name, email_addresses, is_within
from onecert.verifier.path.inputs import Budget

__all__ = ["Layer", "check_names", "layer_from_der"]

EMAIL, DNS, DIRECTORY, URI, IP = 1, 2, 4, 6, 7
_KINDS = {
    0: "otherName",
    1: "rfc822Name",
    2: "dNSName",
    3: "x400Address",
    4: "directoryName",
    5: "ediPartyName",
}
_KINDS |= {6: "uniformResourceIdentifier", 7: "iPAddress", 8: "registeredID"}


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
    in_excluded = [tree for tree in layer.constraints.excluded if tree.base.tag == name.tag]
    in_permitted = [tree for tree in layer.constraints.permitted if tree.base.tag == name.tag]
    if not in_excluded and not in_permitted:
        return
    matches = _MATCHERS.get(name.tag)
    if matches is None or any(tree.bounded for tree in (*in_excluded, *in_permitted)):
        raise RefusedError(
            "NAME_CONSTRAINT_UNSUPPORTED",
            certificate=certificate.certificate,
            source="RFC 5280, section 4.2.1.10",
            authority=layer.authority,
            kind=_KINDS.get(name.tag, str(name.tag)),
        )
    try:
        if any(matches(name.value, tree.base.value, False) for tree in in_excluded):
            _refuse(certificate, name, layer)
        if in_permitted and not _permitted(matches, name, in_permitted):
            _refuse(certificate, name, layer)
    except (DerError, ValueError):
        # A name that cannot be read cannot be shown to be allowed.
        _refuse(certificate, name, layer)


def _permitted(
    matches: Callable[[bytes, bytes, bool], bool], name: GeneralName, trees: list[Subtree]
) -> bool:
    return any(matches(name.value, tree.base.value, True) for tree in trees)


def _refuse(certificate: ParsedCertificate, name: GeneralName, layer: Layer) -> None:
    shown = display_name(name.value) if name.tag == DIRECTORY else name.value.decode("utf-8", "replace")
    raise RefusedError(
        "NAME_CONSTRAINT",
        certificate=certificate.certificate,
        source="RFC 5280, section 6.1.3 (b), (c)",
        subject=certificate.subject_text,
        name=name.value.hex() if name.tag == IP else shown,
        authority=layer.authority,
    ) from None


# One function per kind: (name, base, permitting). A name that is not well formed raises ValueError and is
# refused; a base that is not well formed permits nothing and excludes everything, which is the same.


def _directory(name: bytes, base: bytes, _: bool) -> bool:
    return is_within(canonical_name(name), canonical_name(base))


def _dns(name: bytes, base: bytes, permitting: bool) -> bool:
    host, suffix = _host(name), base.decode("ascii").lower()
    # "Any DNS name that can be constructed by simply adding zero or more labels to the left-hand side."
    # A leading dot, common in the field, means at least one label.
    if suffix.startswith("."):
        suffix_labels, at_least = suffix[1:].split("."), 1
    else:
        suffix_labels, at_least = (suffix.split(".") if suffix else []), 0
    labels = host.split(".")
    if labels[0] == "*" and not permitting and len(labels) == len(suffix_labels):
        # A wildcard that could stand for the excluded name is excluded with it.
        return labels[1:] == suffix_labels[1:]
    if len(labels) < len(suffix_labels) + at_least:
        return False
    return labels[len(labels) - len(suffix_labels) :] == suffix_labels


def _host(name: bytes) -> str:
    host = name.decode("ascii").lower()
    if not host or any(not label for label in host.split(".")) or not host.isprintable() or " " in host:
        raise ValueError("host name")
    return host


def _email(name: bytes, base: bytes, _: bool) -> bool:
    local, separator, domain = name.decode("ascii").rpartition("@")
    if not separator or not local:
        raise ValueError("e-mail address")
    domain = _host(domain.encode())
    constraint = base.decode("ascii")
    if "@" in constraint:
        base_local, _sep, base_domain = constraint.rpartition("@")
        # RFC 5280, section 7.5: the local part is compared exactly, the host without regard to case.
        return local == base_local and domain == base_domain.lower()
    if constraint.startswith("."):
        return domain.endswith(constraint.lower())
    return domain == constraint.lower()


def _uri(name: bytes, base: bytes, _: bool) -> bool:
    text = name.decode("ascii")
    scheme, separator, rest = text.partition("://")
    if not separator or not scheme:
        raise ValueError("a URI without a host")
    authority = rest.split("/", 1)[0].split("?", 1)[0].split("#", 1)[0]
    host = authority.rpartition("@")[2]
    if host.startswith("["):
        raise ValueError("a URI with an address")
    host = _host(host.partition(":")[0].encode())
    if host.replace(".", "").isdigit():
        raise ValueError("a URI with an address")
    constraint = base.decode("ascii").lower()
    if constraint.startswith("."):
        return host.endswith(constraint)
    return host == constraint


def _ip(name: bytes, base: bytes, _: bool) -> bool:
    if len(name) not in {4, 16} or len(base) not in {8, 32}:
        raise ValueError("IP address")
    if len(base) != 2 * len(name):
        return False
    network, mask = base[: len(name)], base[len(name) :]
    bits = int.from_bytes(mask, "big")
    inverted = bits ^ ((1 << 8 * len(mask)) - 1)
    if inverted & (inverted + 1):
        raise ValueError("the mask is not a prefix")
    return int.from_bytes(name, "big") & bits == int.from_bytes(network, "big") & bits


_MATCHERS: dict[int, Callable[[bytes, bytes, bool], bool]] = {
    EMAIL: _email,
    DNS: _dns,
    DIRECTORY: _directory,
    URI: _uri,
    IP: _ip,
}
