"""What an authority may give under its delegations: pure values, the same for issuing and for verifying."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from types import ModuleType

import pytest
from cryptography import x509

from onecert.verifier import MalformedError, RefusedError
from onecert.verifier.attribute_certificate import Constraints, Limits, parse
from onecert.verifier.attribute_certificate.values import encode_value
from onecert.verifier.extensions import GeneralName, NameConstraints, Subtree

HOUR = timedelta(hours=1)


def delegation(world, lab, depth: int | None = 0, names: str = "", roles=("a", "b"), **changes) -> Limits:
    """What a delegation of these roles says."""
    permitted = [x509.Name.from_rfc4514_string(names)] if names else []
    constraints = Constraints.within(depth, permitted=permitted)
    extensions = tuple(
        lab.extension(each.oid.dotted_string, each.value, critical=each.critical)
        for each in constraints.to_extensions()
    )
    values = [lab.role_value(f"urn:onecert:role:tax.{role}") for role in roles]
    attributes = (lab.attribute("2.5.4.72", *values),)
    changes = {"attributes": attributes, "more_extensions": extensions, **changes}
    return Limits.of(parse(world.issue(**changes)))


def kinds(limits: Limits, world, lab, roles=("a",), start=HOUR, end=HOUR, constraints=None, holder=None):
    """What speaks against giving these roles from an hour after the delegation to an hour before its end."""
    values = [lab.role_value(f"urn:onecert:role:tax.{role}") for role in roles]
    attributes = parse(world.issue(attributes=(lab.attribute("2.5.4.72", *values),))).attributes
    given = holder or world.official.certificate
    found = limits.findings(attributes, given, limits.not_before + start, limits.not_after - end, constraints)
    return [finding.facts["what"] for finding in found if finding.code == "EXCEEDS_DELEGATION"]


@pytest.mark.parametrize(
    ("changes", "wanted"),
    [
        ({}, []),
        ({"roles": ("a", "b")}, []),
        ({"roles": ("a", "c")}, ["attributes"]),
        ({"start": -HOUR}, ["time"]),
        ({"end": -HOUR}, ["time"]),
        ({"start": -HOUR, "end": -HOUR, "roles": ("c",)}, ["attributes", "time", "time"]),
        ({"start": 0 * HOUR, "end": 0 * HOUR}, []),
    ],
    ids=lambda value: str(value)[:40],
)
def test_only_what_is_held_can_be_given(world, lab: ModuleType, changes, wanted) -> None:
    """Values octet by octet, and a period inside."""
    assert kinds(delegation(world, lab), world, lab, **changes) == wanted


@pytest.mark.parametrize(
    ("depth", "further", "wanted"),
    [
        (0, Constraints(), ["depth"]),
        (0, Constraints(0), ["depth"]),
        (1, Constraints(0), []),
        (1, Constraints(), []),
        (1, Constraints(1), ["depth"]),
        (2, Constraints(1), []),
        (None, Constraints(7), []),
        (0, None, []),
    ],
)
def test_depth(world, lab: ModuleType, depth, further, wanted) -> None:
    """A further delegation states at most one less; one that states nothing takes what remains."""
    assert kinds(delegation(world, lab, depth), world, lab, constraints=further) == wanted


def test_names_of_holders_and_of_further_delegations(world, lab: ModuleType) -> None:
    """The holder lies in the name space, and so does the name space of a further delegation."""
    limits = delegation(world, lab, 2, "O=深圳市示例单位,C=CN")
    assert kinds(limits, world, lab) == []
    away = delegation(world, lab, 2, "O=别的单位,C=CN")
    assert kinds(away, world, lab) == ["names"]

    mail = GeneralName(1, b"example.gov.cn")
    by_mail = replace(limits, names=(NameConstraints((Subtree(mail, False),), ()),))
    assert kinds(by_mail, world, lab) == ["names"], (
        "a holder without a mail address is not shown to be inside"
    )

    def wider(name: str):
        return Constraints.within(0, permitted=[x509.Name.from_rfc4514_string(name)])

    assert kinds(limits, world, lab, constraints=wider("OU=一科,O=深圳市示例单位,C=CN")) == []
    assert kinds(limits, world, lab, constraints=wider("C=CN")) == ["names"]


def test_a_path_gives_what_every_delegation_of_it_gives(world, lab: ModuleType) -> None:
    """Attributes and periods that all have in common, every name space, and a depth that runs out."""
    first = delegation(world, lab, 1, "C=CN", roles=("a", "b"))
    second = delegation(world, lab, None, "O=深圳市示例单位,C=CN", roles=("b", "c"))
    both = Limits.intersect([first, second])
    assert both.depth == 0
    assert both.names == first.names + second.names
    assert kinds(both, world, lab, roles=("b",)) == []
    assert kinds(both, world, lab, roles=("a",)) == ["attributes"]
    assert kinds(both, world, lab, roles=("c",)) == ["attributes"]
    third = Limits.intersect([first, second, second])
    assert third.depth == -1
    assert "depth" in kinds(third, world, lab, roles=("b",))
    with pytest.raises(ValueError, match="at least one"):
        Limits.intersect([])


def test_a_certificate_without_the_right_to_delegate_has_no_limits(world, lab: ModuleType) -> None:
    """Neither one without basicAttConstraints, nor one whose authority flag is not set."""
    with pytest.raises(RefusedError, match="NOT_A_DELEGATION"):
        Limits.of(parse(world.issue()))
    plain = lab.extension("2.5.29.41", lab.tlv(0x30), critical=True)
    with pytest.raises(RefusedError, match="NOT_A_DELEGATION"):
        Limits.of(parse(world.issue(more_extensions=(plain,))))
    broken = lab.extension("2.5.29.41", lab.tlv(0x30, lab.integer(3)), critical=True)
    with pytest.raises(MalformedError, match="NOT_DER"):
        Limits.of(parse(world.issue(more_extensions=(broken,))))


def test_groups_inside_one_value_count_one_by_one(world, lab: ModuleType) -> None:
    """The attribute has a single value with all groups: two are held, one of them may be given."""

    def groups(*names: str, **value) -> bytes:
        return lab.attribute(
            "1.3.6.1.5.5.7.10.4", encode_value("ietf", {"kind": "string", **value, "values": list(names)})
        )

    limits = delegation(world, lab, attributes=(groups("east", "west"),))

    def refused(attribute: bytes) -> bool:
        attributes = parse(world.issue(attributes=(attribute,))).attributes
        start, end = limits.not_before, limits.not_after
        return any(limits.findings(attributes, world.official.certificate, start, end))

    assert not refused(groups("east"))
    assert not refused(groups("west", "east"))
    assert refused(groups("east", "north"))
    assert refused(groups("east", authority=[{"uri": "urn:other"}]))
    assert refused(lab.attribute("1.3.6.1.5.5.7.10.4", lab.tlv(0x0C, b"east")))


def test_excluded_names(world, lab: ModuleType) -> None:
    """A holder in an excluded subtree, and a further delegation that would allow one."""
    name = x509.Name.from_rfc4514_string
    constraints = Constraints.within(1, excluded=[name("O=深圳市示例单位,C=CN")])
    more = tuple(
        lab.extension(each.oid.dotted_string, each.value, critical=True)
        for each in constraints.to_extensions()
    )
    limits = delegation(world, lab, more_extensions=more)
    assert kinds(limits, world, lab) == ["names"]
    elsewhere = replace(limits, names=(Constraints.within(excluded=[name("O=别的单位,C=CN")]).names,))
    assert kinds(elsewhere, world, lab) == []
    into = Constraints.within(0, permitted=[name("OU=一科,O=别的单位,C=CN")])
    assert kinds(elsewhere, world, lab, constraints=into) == ["names"]


def test_constraints_that_cannot_be_said() -> None:
    with pytest.raises(ValueError, match="negative"):
        Constraints(-1)
    bounded = NameConstraints((Subtree(GeneralName(2, b"sz.gov.cn"), True),), ())
    with pytest.raises(ValueError, match="minimum"):
        Constraints(0, bounded).to_extensions()
    dns = NameConstraints((Subtree(GeneralName(2, b"sz.gov.cn"), False),), ())
    written = Constraints(3, dns).to_extensions()
    assert written[0].critical
    assert written[1].value.hex() == "300fa00d300b8209737a2e676f762e636e"
