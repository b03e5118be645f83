"""What a delegation lets an authority give: "cannot give what it does not hold" (ITU-T X.509, section 16.6).

A delegation is an attribute certificate whose holder is an authority: ``basicAttConstraints`` says that it
may give on what it was given, how far, and ``delegatedNameConstraints`` to whom. The same code judges when a
certificate is verified and before one is issued, so that both refuse with the same code and the same facts.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime

from cryptography import x509
from cryptography.hazmat import asn1
from cryptography.x509 import ObjectIdentifier

from onecert.verifier.attribute_certificate import asn1 as syntax
from onecert.verifier.attribute_certificate.asn1 import Oid
from onecert.verifier.attribute_certificate.encoding import CONSTRUCTED, CONTEXT, tlv
from onecert.verifier.attribute_certificate.extensions import Extensions, read_extension
from onecert.verifier.attribute_certificate.findings import Code, Finding
from onecert.verifier.attribute_certificate.general_names import GeneralName
from onecert.verifier.attribute_certificate.holder import as_tagged
from onecert.verifier.attribute_certificate.parse import Attribute, AttributeCertificate, Extension
from onecert.verifier.attribute_certificate.roles import find_role
from onecert.verifier.attribute_certificate.values import split_value
from onecert.verifier.certificate import ParsedCertificate, as_parsed
from onecert.verifier.der import SEQUENCE, Reader
from onecert.verifier.errors import MalformedError, RefusedError, VerifyError
from onecert.verifier.extensions import NameConstraints, Subtree, parse_name_constraints
from onecert.verifier.limits import DEFAULT_LIMITS
from onecert.verifier.messages import message
from onecert.verifier.path.inputs import Budget
from onecert.verifier.path.name_constraints import Layer, check_names
from onecert.verifier.path.name_forms import DIRECTORY, DNS, comparable_forms, form_of

_WHAT = ("attributes", "depth", "names", "time")
_LIMIT_EN = {what: message(f"LABEL_LIMIT_{what.upper()}", "en") for what in _WHAT}
_LIMIT_ZH = {what: message(f"LABEL_LIMIT_{what.upper()}", "zh") for what in _WHAT}
_SEVERAL_IN_ONE = frozenset({Oid.GROUP, Oid.CHARGING_IDENTITY})
_PERMITTED = CONTEXT | CONSTRUCTED
_EXCLUDED = CONTEXT | CONSTRUCTED | 1


@dataclass(frozen=True, slots=True)
class Constraints:
    """What a delegation says about certificates under it.

    Args:
        depth: how many further delegations may follow; 0: the authority gives to holders only; None: the
            delegation does not say, and what remains above it counts.
        names: the name space of all holders below (``delegatedNameConstraints``), or None.
    """

    depth: int | None = None
    names: NameConstraints | None = None

    def __post_init__(self) -> None:
        """Raise ``ValueError`` for a negative depth."""
        if self.depth is not None and self.depth < 0:
            raise ValueError("the depth of a delegation must not be negative")

    @classmethod
    def within(
        cls,
        depth: int | None = None,
        *,
        permitted: Iterable[x509.Name] = (),
        excluded: Iterable[x509.Name] = (),
    ) -> Constraints:
        """State constraints by directory names: inside one of ``permitted``, outside ``excluded``."""
        value = _subtrees(_PERMITTED, permitted) + _subtrees(_EXCLUDED, excluded)
        if not value:
            return cls(depth)
        return cls(depth, parse_name_constraints(Reader(tlv(SEQUENCE, value))))

    def to_extensions(self) -> tuple[Extension, ...]:
        """Return the extensions that say this, both critical (X.509, sections 17.5.2.1 and 17.5.2.2)."""
        basic = syntax.BasicAttConstraintsSyntax(authority=True, path_length=self.depth)
        extensions = [Extension(Oid.BASIC_ATTRIBUTE_CONSTRAINTS, True, asn1.encode_der(basic))]
        if self.names is not None:
            value = tlv(SEQUENCE, *_encode_names(self.names))
            extensions.append(Extension(Oid.DELEGATED_NAME_CONSTRAINTS, True, value))
        return tuple(extensions)


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What an authority may give under one delegation, or under all delegations of a path. Pure.

    Args:
        attributes: the DER of the values that it holds, by dotted identifier of the attribute; of groups and
            charging identities the DER of each single one.
        depth: how many further delegations may follow; None: no limit.
        names: name spaces; a holder must lie in each of them.
        not_before, not_after: aware, both included.
    """

    attributes: Mapping[str, frozenset[bytes]]
    depth: int | None
    names: tuple[NameConstraints, ...]
    not_before: datetime
    not_after: datetime

    @classmethod
    def of(cls, certificate: AttributeCertificate) -> Limits:
        """Read the limits of one delegation. Nothing is verified here.

        Raises:
            RefusedError: ``NOT_A_DELEGATION``: the certificate does not let its holder give anything.
            MalformedError: an extension of it cannot be read, or its period.
        """
        constraints = constraints_of(certificate)
        if constraints is None:
            raise Finding(Code.NOT_A_DELEGATION, {"serial": certificate.serial_hex}).error()
        if certificate.not_before is None or certificate.not_after is None:
            raise MalformedError("NOT_DER", kind="attribute certificate", detail="validity")
        attributes: dict[str, frozenset[bytes]] = {}
        for attribute in certificate.attributes:
            oid = attribute.oid.dotted_string
            parts = (part for value in attribute.values for part in _parts(attribute.oid, value))
            attributes[oid] = attributes.get(oid, frozenset()) | frozenset(parts)
        return cls(
            attributes=attributes,
            depth=constraints.depth,
            names=tuple(_name_spaces(certificate)),
            not_before=certificate.not_before,
            not_after=certificate.not_after,
        )

    @classmethod
    def intersect(cls, path: Sequence[Limits]) -> Limits:
        """Return what remains under several delegations.

        Args:
            path: at least one; the first is the one that the source of authority gave, each following one
                was given under the one before it.
        """
        if not path:
            raise ValueError("a path of delegations has at least one")
        result, *further = path
        for limits in further:
            result = result._and_then(limits)
        return result

    def _and_then(self, further: Limits) -> Limits:
        attributes = {
            oid: values & further.attributes[oid]
            for oid, values in self.attributes.items()
            if oid in further.attributes
        }
        depths = [further.depth] if self.depth is None else [self.depth - 1, further.depth]
        return Limits(
            attributes={oid: values for oid, values in attributes.items() if values},
            # -1: not even the further delegation was allowed; then nothing may be given under it.
            depth=min((depth for depth in depths if depth is not None), default=None),
            names=self.names + further.names,
            not_before=max(self.not_before, further.not_before),
            not_after=min(self.not_after, further.not_after),
        )

    def findings(
        self,
        attributes: Iterable[Attribute],
        holder: x509.Certificate | ParsedCertificate | bytes,
        not_before: datetime,
        not_after: datetime,
        constraints: Constraints | None = None,
    ) -> Iterator[Finding]:
        """Yield each way in which a certificate to be given exceeds what is held: ``EXCEEDS_DELEGATION``.

        The fact ``what`` is ``attributes``, ``depth``, ``names`` or ``time``; ``detail`` says more.

        Args:
            attributes: what is to be given.
            holder: the certificate of the one who receives it.
            not_before, not_after: the period of the new certificate, aware.
            constraints: those of a further delegation; None for a certificate that cannot be given on.
        """
        # 1. Every value must be held, octet by octet: nothing is concluded from how a value looks. The groups
        # inside one value are compared one by one. What is encrypted is judged by who opens it.
        for attribute in attributes:
            if attribute.oid == Oid.ENCRYPTED_ATTRIBUTES:
                continue
            oid = attribute.oid.dotted_string
            held = self.attributes.get(oid, frozenset())
            if not held.issuperset(attribute.values):
                missing = _find_missing(attribute, held)
                if missing is not None:
                    yield _exceeds("attributes", f"{oid} {missing}")
        # 2. The depth.
        if self.depth is not None:
            if constraints is not None and self.depth <= 0:
                yield _exceeds("depth", "no further delegation is allowed")
            elif constraints is not None and constraints.depth is not None:
                if constraints.depth > self.depth - 1:
                    yield _exceeds("depth", f"{constraints.depth} more, {self.depth - 1} allowed")
            elif self.depth < 0:
                yield _exceeds("depth", "no further delegation was allowed")
        # 3. The name space, of the holder and of what is delegated further.
        yield from self._name_findings(as_parsed(holder), constraints)
        # 4. The period lies inside.
        if not_before < self.not_before:
            yield _exceeds("time", f"from {not_before:%F %T}Z, allowed from {self.not_before:%F %T}Z")
        if not_after > self.not_after:
            yield _exceeds("time", f"until {not_after:%F %T}Z, allowed until {self.not_after:%F %T}Z")

    def _name_findings(self, holder: ParsedCertificate, constraints: Constraints | None) -> Iterator[Finding]:
        for space in self.names:
            try:
                check_names(holder, (Layer("", space),), budget=Budget(DEFAULT_LIMITS), limits=DEFAULT_LIMITS)
                if not _has_a_permitted_form(holder, space):
                    # Without a name of a permitted form nothing shows that the holder is inside.
                    raise RefusedError("NAME_CONSTRAINT", name=holder.subject_text)
            except VerifyError as exc:
                name = exc.facts.get("name") or holder.subject_text
                yield _exceeds("names", f"{name} ({exc.code})")
                continue
            stated = None if constraints is None else constraints.names
            if stated is not None and not _is_narrower(stated, space):
                yield _exceeds("names", "the name space is wider than the one above it")


def constraints_of(certificate: AttributeCertificate) -> Constraints | None:
    """Return what a delegation says about certificates under it; None when it is not a delegation.

    Raises:
        MalformedError: ``basicAttConstraints`` or ``delegatedNameConstraints`` cannot be read.
    """
    basic = certificate.find_extension(Oid.BASIC_ATTRIBUTE_CONSTRAINTS)
    names = certificate.find_extension(Oid.DELEGATED_NAME_CONSTRAINTS)
    if basic is None:
        return None
    read = _read(basic).basic
    if read is None or not read.authority:
        return None
    return Constraints(read.path_length, None if names is None else _read(names).names)


def _name_spaces(certificate: AttributeCertificate) -> Iterator[NameConstraints]:
    for oid in (Oid.DELEGATED_NAME_CONSTRAINTS, Oid.HOLDER_NAME_CONSTRAINTS):
        found = certificate.find_extension(oid)
        if found is not None and (names := _read(found).names) is not None:
            yield names


def _read(extension: Extension) -> Extensions:
    try:
        return read_extension(extension.oid, extension.value)
    except (ValueError, TypeError) as exc:
        raise MalformedError("NOT_DER", kind="attribute certificate", detail=str(exc)) from exc


def _exceeds(what: str, detail: str) -> Finding:
    facts = {"what": what, "detail": detail, "limit": _LIMIT_ZH[what], "limit_en": _LIMIT_EN[what]}
    return Finding(Code.EXCEEDS_DELEGATION, facts)


def _find_missing(attribute: Attribute, held: frozenset[bytes]) -> str | None:
    for value in attribute.values:
        if not held.issuperset(_parts(attribute.oid, value)):
            role = find_role(value) if attribute.oid == Oid.ROLE else None
            return role.name if role is not None else value.hex()[:80]
    return None


def _parts(oid: ObjectIdentifier, value: bytes) -> tuple[bytes, ...]:
    """One value of a group or charging identity names several: each counts alone."""
    if oid in _SEVERAL_IN_ONE:
        with suppress(MalformedError):
            return split_value("ietf", value)
    return (value,)


def _subtrees(tag: int, names: Iterable[x509.Name]) -> bytes:
    trees = [tlv(SEQUENCE, GeneralName.directory(name).to_der()) for name in names]
    return tlv(tag, *trees) if trees else b""


def _encode_names(names: NameConstraints) -> Iterator[bytes]:
    for tag, subtrees in ((_PERMITTED, names.permitted), (_EXCLUDED, names.excluded)):
        if any(subtree.bounded for subtree in subtrees):
            raise ValueError("subtrees with a minimum or maximum are not written")
        if subtrees:
            bases = (as_tagged(subtree.base.tag, subtree.base.value) for subtree in subtrees)
            yield tlv(tag, *(tlv(SEQUENCE, base.to_der()) for base in bases))


def _is_narrower(names: NameConstraints, space: NameConstraints) -> bool:
    """Tell whether directory and DNS subtrees that are stated lie in the space above them.

    Other forms are not compared here: every holder below must lie in both name spaces anyway.
    """
    return all(_lies_within(subtree, space) for subtree in names.permitted)


def _has_a_permitted_form(holder: ParsedCertificate, space: NameConstraints) -> bool:
    wanted = {form_of(subtree.base) for subtree in space.permitted}
    own = {form_of(name) for name in holder.alternative_names}
    if holder.subject:
        own.add((DIRECTORY, ""))
    return not wanted or not wanted.isdisjoint(own)


def _lies_within(subtree: Subtree, space: NameConstraints) -> bool:
    for form, value, matches in comparable_forms(subtree.base):
        if matches is None or form[0] not in {DIRECTORY, DNS}:
            continue
        permitted = [tree for tree in space.permitted if form_of(tree.base) == form]
        excluded = [tree for tree in space.excluded if form_of(tree.base) == form]
        try:
            if permitted and not any(matches(value, tree.base.value, True) for tree in permitted):
                return False
            if any(matches(value, tree.base.value, False) for tree in excluded):
                return False
        except ValueError:
            return False
    return True
