"""Delegation: source -> bureau -> office -> ... -> official. One thing is broken, and named by its code."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from itertools import pairwise

import pytest
from cryptography import x509

from onecert.verifier import CouldNotCheckError, RefusedError, VerifyError
from onecert.verifier.attribute_certificate import Constraints, Delegations, TargetIdentity
from onecert.verifier.attribute_certificate.holder import digest_of
from onecert.verifier.certificate import as_parsed
from onecert.verifier.messages import codes


def refusal(city, data: bytes, **changes) -> VerifyError:
    """What ``verify`` raises; ``explain`` must find the same, and its text must be whole."""
    with pytest.raises(VerifyError) as caught:
        city.verify(data, **changes)
    found = city.explain(data, **changes)
    assert caught.value.code == found.findings[0].code
    assert caught.value.code in codes()
    assert found.verified is None
    assert "?" not in caught.value.text("zh") + caught.value.text("en")
    return caught.value


def test_a_role_through_two_delegations(city) -> None:
    """The result says who gave what to whom, from the source downwards."""
    city.delegate("source", "bureau", "abc", Constraints(1))
    city.delegate("bureau", "office", "ab", Constraints(0))
    verified = city.verify(city.grant("office", "a"))
    assert [role.name for role in verified.roles] == ["urn:onecert:role:tax.a"]
    assert [step.holder.subject_text.split(",")[0] for step in verified.path] == ["CN=bureau", "CN=office"]
    assert [step.authority.label.split(",")[0] for step in verified.path] == ["source", "CN=bureau"]
    assert verified.path[-1].limits.depth == 0
    assert "CN=office" in verified.path[1].text()
    assert verified.authority.name_der == city.givers["office"].certificate.subject.public_bytes()


def test_without_delegations_the_issuer_is_not_trusted(city) -> None:
    city.delegate("source", "bureau")
    data = city.grant("bureau")
    assert city.verify(data)
    assert refusal(city, data, delegations=None).code == "UNTRUSTED"
    assert refusal(city, city.grant("office")).code == "UNTRUSTED"


def test_a_chain_that_ends_at_a_stranger_is_not_trusted(city) -> None:
    """office was given by branch, whom nobody knows."""
    city.delegate("branch", "office")
    error = refusal(city, city.grant("office"))
    assert error.code == "UNTRUSTED"
    assert "CN=branch" in str(error.facts["issuer"])


@pytest.mark.parametrize(
    ("first", "second", "grant", "what"),
    [
        ({"roles": "a"}, None, {"roles": "b"}, "attributes"),
        ({"roles": "ab"}, {"roles": "abc"}, {"roles": "a"}, "attributes"),
        ({"roles": "ab"}, {"roles": "a"}, {"roles": "b"}, "attributes"),
        ({"constraints": Constraints(0)}, {}, {}, "depth"),
        ({"constraints": Constraints(1)}, {"constraints": Constraints(1)}, {}, "depth"),
    ],
)
def test_nobody_gives_what_it_does_not_hold(city, first, second, grant, what) -> None:
    city.delegate("source", "bureau", **first)
    if second is not None:
        city.delegate("bureau", "office", **second)
    error = refusal(city, city.grant("bureau" if second is None else "office", **grant))
    assert error.code == "EXCEEDS_DELEGATION"
    assert error.facts["what"] == what


def test_a_delegated_certificate_that_says_it_may_delegate_needs_depth(city, lab) -> None:
    """The official's certificate carries basicAttConstraints, but the bureau may give to holders only."""
    basic = Constraints().to_extensions()[0]
    more = (lab.extension(basic.oid.dotted_string, basic.value, critical=True),)
    city.delegate("source", "bureau", constraints=Constraints(0))
    assert refusal(city, city.grant("bureau", more_extensions=more)).facts["what"] == "depth"
    city.delegations.clear()
    city.delegate("source", "bureau", constraints=Constraints(1))
    assert city.verify(city.grant("bureau", more_extensions=more)).roles


@pytest.mark.parametrize("days", [(-3, 1), (-1, 3)])
def test_nobody_gives_longer_than_it_holds(city, lab, days) -> None:
    city.delegate("source", "bureau")
    start, end = (lab.generalized(lab.T + timedelta(days=each)) for each in days)
    error = refusal(city, city.grant("bureau", validity=lab.tlv(0x30, start, end)))
    assert (error.code, error.facts["what"]) == ("EXCEEDS_DELEGATION", "time")


def test_holders_lie_in_the_name_space_of_every_delegation(city) -> None:
    def space(name: str, depth: int | None = None) -> Constraints:
        return Constraints.within(depth, permitted=[x509.Name.from_rfc4514_string(name)])

    city.delegate("source", "bureau", constraints=space("O=深圳市示例单位,C=CN"))
    city.delegate("bureau", "office", constraints=Constraints())
    assert city.verify(city.grant("office")).roles
    city.delegations.clear()
    city.delegate("source", "bureau", constraints=space("O=别的单位,C=CN"))
    error = refusal(city, city.grant("bureau"))
    assert (error.code, error.facts["what"]) == ("EXCEEDS_DELEGATION", "names")


def test_a_delegation_without_the_authority_flag_delegates_nothing(city, lab) -> None:
    plain = (lab.extension("2.5.29.41", lab.tlv(0x30), critical=True),)
    city.delegate("source", "bureau", more_extensions=plain)
    assert refusal(city, city.grant("bureau")).code == "NOT_A_DELEGATION"
    city.delegations.clear()
    city.delegate("source", "bureau", more_extensions=())
    assert refusal(city, city.grant("bureau")).code == "NOT_A_DELEGATION"


def test_a_revoked_delegation_takes_everything_with_it(city, lab) -> None:
    serial = city.delegate("source", "bureau")
    city.delegate("bureau", "office")
    city.lists["source"] = lab.make_acrl(city.givers["source"], serial)
    error = refusal(city, city.grant("office"))
    assert error.code == "DELEGATION_REVOKED"
    assert "CN=bureau" in str(error.facts["authority"])
    assert error.facts["revoked_at"] == lab.T - timedelta(hours=2)


def test_a_suspended_authority_is_said_to_be_on_hold(city, lab) -> None:
    serial = city.delegate("source", "bureau")
    hold = x509.ReasonFlags.certificate_hold
    city.lists["source"] = lab.make_acrl(city.givers["source"], serial, reason=hold)
    error = refusal(city, city.grant("bureau"))
    assert error.code == "DELEGATION_ON_HOLD"
    assert "on hold" in error.text("en")
    assert "冻结" in error.text("zh")


def test_a_delegation_of_unknown_status_cannot_be_checked(city, lab) -> None:
    city.delegate("source", "bureau")
    city.lists["source"] = lab.make_acrl(
        city.givers["source"], this_update=lab.T - 9 * lab.DAY, next_update=lab.T - 8 * lab.DAY
    )
    error = refusal(city, city.grant("bureau"))
    assert isinstance(error, CouldNotCheckError)
    assert (error.code, error.facts["reason"]) == ("DELEGATION_UNKNOWN", "STATUS_UNKNOWN")


def test_the_list_of_the_sub_authority_counts_for_what_it_gave(city, lab) -> None:
    """The bureau's own list names the official's certificate; a list of the source would say nothing."""
    city.delegate("source", "bureau")
    data = city.grant("bureau")
    city.lists["bureau"] = lab.make_acrl(city.givers["bureau"], city.issued)
    assert refusal(city, data).code == "REVOKED"
    city.lists["bureau"] = lab.make_acrl(city.givers["bureau"])
    city.lists["source"] = lab.make_acrl(city.givers["source"], city.issued)
    assert city.verify(data).roles


BROKEN_DELEGATIONS = {
    "signed by another": ("SIGNATURE", lambda lab, city: {"giver": "desk"}),
    "over": (
        "EXPIRED",
        lambda lab, city: {
            "validity": lab.tlv(0x30, lab.generalized(lab.T - 2 * lab.DAY), lab.generalized(lab.T - lab.DAY))
        },
    ),
    "held by another": (
        "HOLDER",
        lambda lab, city: {"holder": lab.tlv(0x30, lab.base_certificate_id(city.givers["desk"].certificate))},
    ),
    "version": ("VERSION", lambda lab, city: {"version": lab.integer(0)}),
    "for another target": (
        "TARGET",
        lambda lab, city: {
            "more": (
                lab.extension(
                    "2.5.29.55",
                    lab.tlv(0x30, lab.tlv(0x30, lab.tlv(0xA0, lab.tlv(0x86, b"urn:elsewhere")))),
                    critical=True,
                ),
            )
        },
    ),
    "one use only": (
        "LIMIT_NOT_ENFORCED",
        lambda lab, city: {"more": (lab.extension("2.5.29.65", b"\x05\x00"),)},
    ),
    "at office hours": (
        "UNKNOWN_CRITICAL",
        lambda lab, city: {"more": (lab.extension("2.5.29.43", lab.tlv(0x30), critical=True),)},
    ),
}


@pytest.mark.parametrize("name", BROKEN_DELEGATIONS)
def test_a_delegation_is_verified_like_any_certificate(city, lab, name: str) -> None:
    """source -> bureau -> official; the delegation has one fault."""
    reason, change = BROKEN_DELEGATIONS[name]
    values = change(lab, city)
    giver = values.pop("giver", "source")
    if giver != "source":
        issuer = city.givers["source"].certificate
        values["issuer"] = lab.tlv(0xA0, lab.tlv(0x30, lab.directory(issuer.subject.public_bytes())))
        values["key_id"] = x509.SubjectKeyIdentifier.from_public_key(issuer.public_key()).digest
    city.delegate(giver, "bureau", **values)
    error = refusal(city, city.grant("bureau"))
    assert (error.code, error.facts["reason"]) == ("DELEGATION_INVALID", reason)


def test_a_loop_is_named(city) -> None:
    """bureau <-> office, and nobody above them."""
    city.delegate("bureau", "office")
    city.delegate("office", "bureau")
    assert refusal(city, city.grant("office")).code == "DELEGATION_LOOP"
    city.delegate("source", "bureau")
    assert city.verify(city.grant("office")).roles, "one good way is enough"


def test_an_authority_cannot_delegate_to_itself(city) -> None:
    city.delegate("bureau", "bureau")
    assert refusal(city, city.grant("bureau")).code == "DELEGATION_LOOP"


def test_a_fork_is_good_when_one_way_is_good(city, lab) -> None:
    """The bureau was delegated to twice: once too little, once enough. explain names both ways."""
    city.delegate("source", "bureau", "b")
    city.delegate("source", "bureau", "a")
    data = city.grant("bureau", "a")
    assert city.verify(data).path[0].certificate.serial == 2
    explained = city.explain(data)
    assert [candidate.is_taken for candidate in explained.candidates] == [False, True]
    assert [finding.code for finding in explained.candidates[0].findings] == ["EXCEEDS_DELEGATION"]
    assert explained.candidates[1].findings == ()
    assert [name.split(",")[0] for name in explained.candidates[1].authorities] == ["source", "CN=bureau"]


def test_a_way_that_cannot_be_checked_leaves_the_question_open(city, lab) -> None:
    """One delegation is revoked; of the other nobody can tell: asking later may help."""
    revoked = city.delegate("source", "bureau")
    city.delegate("office", "bureau")
    city.delegate("source", "office")
    city.lists["source"] = lab.make_acrl(city.givers["source"], revoked)
    city.lists["office"] = lab.make_acrl(
        city.givers["office"], this_update=lab.T - 9 * lab.DAY, next_update=lab.T - 8 * lab.DAY
    )
    assert refusal(city, city.grant("bureau")).code == "DELEGATION_UNKNOWN"


def test_the_named_delegation_is_tried_first(city, lab) -> None:
    """authorityAttributeIdentifier is a hint: it orders, and a wrong one does no harm."""
    city.delegate("source", "bureau")
    second = city.delegate("source", "bureau")
    issuer = lab.tlv(0x30, lab.directory(city.givers["source"].certificate.subject.public_bytes()))

    def grant(serial: int) -> bytes:
        value = lab.tlv(0x30, lab.tlv(0x30, issuer, lab.integer(serial)))
        return city.grant("bureau", more_extensions=(lab.extension("2.5.29.38", value),))

    assert city.verify(grant(second)).path[0].certificate.serial == second
    assert city.verify(grant(99)).path[0].certificate.serial == 1


def test_no_assertion_means_delegating_only(city, lab) -> None:
    """X.509, section 17.5.2: the bureau may give the role on, and may not use it."""
    no_assertion = (lab.extension("2.5.29.62", b"\x05\x00", critical=True),)
    city.delegate("source", "bureau", more=no_assertion)
    assert city.verify(city.grant("bureau")).roles
    data, certificate = city.delegations[0]
    own = city.verifier().verify(data, holder=certificate, at=lab.T)
    assert own.roles == ()
    assert own.attributes == ()
    assert [dropped.reason for dropped in own.dropped] == ["NO_ASSERTION"]


def test_an_authority_may_use_what_it_may_delegate(city, lab) -> None:
    """Without noAssertion the holder of a delegation has the attributes itself."""
    city.delegate("source", "bureau", "a")
    data, certificate = city.delegations[0]
    assert city.verifier().verify(data, holder=certificate, at=lab.T).roles


def test_targets_of_a_delegation_bind_what_is_under_it(city, lab) -> None:
    target = lab.tlv(0x30, lab.tlv(0x30, lab.tlv(0xA0, lab.tlv(0x86, b"urn:dept"))))
    city.delegate("source", "bureau", more=(lab.extension("2.5.29.55", target, critical=True),))
    data, holder = city.grant("bureau"), city.world.official.certificate
    here = TargetIdentity.from_uris("urn:dept")
    assert city.verifier().verify(data, holder=holder, at=lab.T, target=here).roles
    with pytest.raises(RefusedError, match="DELEGATION_INVALID"):
        city.verifier().verify(data, holder=holder, at=lab.T)


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"ca": True, "usage": ("digital_signature", "key_cert_sign", "crl_sign")}, "AA_IS_CA"),
        ({"usage": ("key_agreement", "crl_sign")}, "AA_KEY_USAGE"),
    ],
)
def test_the_certificate_of_a_sub_authority_must_be_fit(city, lab, changes, code) -> None:
    city.givers["unfit"] = lab.identity("unfit", **changes)
    city.delegate("source", "unfit")
    assert refusal(city, city.grant("unfit")).code == code


def test_the_path_of_a_sub_authority_is_checked(city, lab) -> None:
    """bureau's certificate was revoked by its CA: nothing under it is good, at whatever level."""

    def check_path(certificate, at) -> None:
        if "bureau" in certificate.subject_text:
            raise RefusedError("CERT_REVOKED")

    city.delegate("source", "bureau")
    city.delegate("bureau", "office")
    trust = city.trust(check_path=check_path)
    for giver in ("bureau", "office"):
        error = refusal(city, city.grant(giver), trust=trust)
        assert (error.code, error.facts["reason"]) == ("AA_PATH", "CERT_REVOKED")


def test_without_a_path_check_a_delegation_must_name_the_key(city, lab) -> None:
    """Anybody can make a certificate with the name and serial number of another one."""
    trust = city.trust(check_path=None)
    city.delegate("source", "bureau")
    error = refusal(city, city.grant("bureau"), trust=trust)
    assert (error.code, error.facts["reason"]) == ("AA_PATH", "NO_PATH_CHECK")
    digest = digest_of(as_parsed(city.givers["bureau"].certificate), 0)
    sha256 = bytes.fromhex("300b0609608648016503040201")
    named = lab.tlv(0xA2, lab.tlv(0x0A, b"\x00"), sha256, lab.tlv(0x03, b"\x00", digest))
    city.delegate("source", "bureau", holder=lab.tlv(0x30, named))
    assert city.verify(city.grant("bureau"), trust=trust).roles


def test_another_key_of_the_same_name_is_another_authority(city, lab) -> None:
    """A stranger calls itself bureau, with a certificate that even has the bureau's serial number."""
    city.delegate("source", "bureau")
    city.givers["false"] = lab.identity("bureau")
    data = city.grant("false")
    city.givers.pop("false")
    assert refusal(city, data).code == "UNTRUSTED"


def test_a_long_chain_and_a_wide_one_are_bounded(city, lab) -> None:
    """Nine levels; and three hundred delegations that lead nowhere."""
    chain = ["source", *(f"n{level}" for level in range(9))]
    for each in chain[1:]:
        city.givers[each] = lab.identity(each)
    for giver, receiver in pairwise(chain):
        city.delegate(giver, receiver)
    assert city.verify(city.grant("n7")).roles
    error = refusal(city, city.grant("n8"))
    assert (error.code, error.facts["kind"]) == ("DELEGATION_LIMIT", "levels")

    city.delegations = [city.delegations[0]] * 300
    city.delegations = [(b"\x30\x00", each) for _, each in city.delegations]
    found = city.explain(city.grant("n0"))
    assert {finding.code for candidate in found.candidates for finding in candidate.findings} == {
        "DELEGATION_INVALID",
        "DELEGATION_LIMIT",
    }


def test_large_delegations_are_bounded_together(city, lab) -> None:
    """Ten of 48 KiB, each with a wrong signature: after 256 KiB nobody reads further."""
    values = [bytes((0x0C, 2)) + number.to_bytes(2, "big") for number in range(0x3030, 0x3030 + 200)]
    city.delegate(
        "source", "bureau", attributes=tuple(lab.attribute(f"1.2.3.{arc}", *values) for arc in range(60))
    )
    data, certificate = city.delegations.pop()
    city.delegations = [(data[:-1] + bytes((data[-1] ^ 1 + each,)), certificate) for each in range(10)]
    (*read, last) = city.explain(city.grant("bureau")).candidates
    assert len(read) == 5
    assert [(each.code, each.facts["kind"]) for each in last.findings] == [("DELEGATION_LIMIT", "octets")]


def test_signature_checks_are_bounded(city) -> None:
    """A hundred delegations with wrong signatures: after 64 checks nobody looks further."""
    city.delegate("source", "bureau")
    data, certificate = city.delegations.pop()
    for number in range(100):
        broken = bytearray(data)
        broken[-1] ^= 1 + number
        city.delegations.append((bytes(broken), certificate))
    city.delegations.append((data, certificate))
    explained = city.explain(city.grant("bureau"))
    kinds = [finding.code for candidate in explained.candidates for finding in candidate.findings]
    assert "DELEGATION_LIMIT" in kinds
    assert kinds.count("DELEGATION_INVALID") <= 64


def test_hostile_delegations_raise_only_refusals(city) -> None:
    """Cut short at every octet, and with every octet changed here and there."""
    city.delegate("source", "bureau")
    data, certificate = city.delegations[0]
    grant = city.grant("bureau")
    for position in range(0, len(data), 7):
        changed = data[:position] + bytes((data[position] ^ 0x55,)) + data[position + 1 :]
        for broken in (data[:position], changed):
            city.delegations = [(broken, certificate)]
            assert city.explain(grant).findings, position


def test_aa_controls_bind_at_every_level(city, lab) -> None:
    """The bureau's certificate permits another attribute only: what passes through it is dropped and told."""
    value = lab.tlv(0x30, lab.tlv(0xA0, lab.oid("1.3.6.1.5.5.7.10.4")), lab.tlv(0x01, b"\x00"))
    controls = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.3.6.1.5.5.7.1.6"), value)
    city.givers["bureau"] = lab.identity("controlled bureau", extra=((controls, False),))
    city.delegate("source", "bureau")
    city.delegate("bureau", "office")
    verified = city.verify(city.grant("office"))
    assert verified.roles == ()
    assert [dropped.reason for dropped in verified.dropped] == ["AA_CONTROLS"]


def test_configuration_of_the_source_binds_below(city) -> None:
    """The source may give tax roles only, whatever it delegated."""
    city.delegate("source", "bureau", "ab")
    trust = city.trust()
    only_b = replace(trust.authorities[0], roles=frozenset({"urn:onecert:role:tax.b"}))
    verified = city.verify(city.grant("bureau", "ab"), trust=city.trust(authorities=(only_b,)))
    assert [role.name for role in verified.roles] == ["urn:onecert:role:tax.b"]
    assert [(each.value, each.reason) for each in verified.dropped] == [
        ("urn:onecert:role:tax.a", "NOT_ASSIGNABLE")
    ]


def test_delegations_that_come_with_the_certificate(city, lab) -> None:
    """One is at hand, the other is presented: together they are a way; neither is remembered for others."""
    city.delegate("source", "bureau")
    city.delegate("bureau", "office")
    verifier = city.verifier(delegations=Delegations(city.delegations[:1]))
    data, holder = city.grant("office"), city.world.official.certificate
    presented = Delegations(city.delegations[1:])
    assert verifier.verify(data, holder=holder, at=lab.T, delegations=presented).roles
    assert verifier.explain(data, holder=holder, at=lab.T, delegations=presented).verified
    with pytest.raises(RefusedError, match="UNTRUSTED"):
        verifier.verify(data, holder=holder, at=lab.T)
    alone = city.verifier(delegations=None)
    both = Delegations(city.delegations)
    assert alone.verify(data, holder=holder, at=lab.T, delegations=both).roles


class Silent:
    """Sources that cannot tell."""

    def find(self, issuer_name_der: bytes, key_id: bytes | None):
        raise CouldNotCheckError("FETCH_UNREACHABLE")

    def find_list(self, authority):
        raise CouldNotCheckError("FILE_UNREADABLE")


def test_a_source_that_cannot_tell_leaves_the_question_open(city) -> None:
    """Neither a no, nor an exception from explain."""
    city.delegate("source", "bureau")
    data = city.grant("bureau")
    error = refusal(city, data, delegations=Silent())
    assert (error.code, error.facts["reason"]) == ("DELEGATION_UNKNOWN", "FETCH_UNREACHABLE")
    assert refusal(city, data, status=Silent()).code == "STATUS_UNKNOWN"
    assert refusal(city, city.grant("source"), status=Silent()).facts["detail"] == "FILE_UNREADABLE"
