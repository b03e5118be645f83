"""Name constraints and policies, as a CA and a department use them."""

from __future__ import annotations

import ipaddress
from typing import Any

import pytest
from cryptography import x509

from onecert.verifier import MalformedError, PolicyInputs, RefusedError
from onecert.verifier.path import PathParameters
from onecert.verifier.revocation import RevocationMode, RevocationPolicy

OFF = RevocationPolicy(mode=RevocationMode.OFF)
ONE, TWO, THREE = "1.2.3.1", "1.2.3.2", "1.2.3.3"
ANY = "2.5.29.32.0"


def dns(text: str) -> x509.DNSName:
    return x509.DNSName(text)


def mail(text: str) -> x509.RFC822Name:
    return x509.RFC822Name._init_without_validation(text)


def uri(text: str) -> x509.UniformResourceIdentifier:
    return x509.UniformResourceIdentifier(text)


def net(text: str) -> x509.IPAddress:
    return x509.IPAddress(ipaddress.ip_network(text))


def ip(text: str) -> x509.IPAddress:
    return x509.IPAddress(ipaddress.ip_address(text))


def firm(*parts: str) -> x509.DirectoryName:
    oids = (x509.NameOID.COUNTRY_NAME, x509.NameOID.ORGANIZATION_NAME, x509.NameOID.COMMON_NAME)
    return x509.DirectoryName(
        x509.Name([x509.NameAttribute(oid, v) for oid, v in zip(oids, parts, strict=False)])
    )


def registered(oid: str) -> x509.RegisteredID:
    return x509.RegisteredID(x509.ObjectIdentifier(oid))


def other(oid: str, value_der: bytes) -> x509.OtherName:
    return x509.OtherName(x509.ObjectIdentifier(oid), value_der)


def srv(text: str) -> x509.OtherName:
    return other("1.3.6.1.5.5.7.8.7", bytes((0x16, len(text))) + text.encode())


def mailbox(text: str) -> x509.OtherName:
    return other("1.3.6.1.5.5.7.8.9", bytes((0x0C, len(text.encode()))) + text.encode())


@pytest.mark.parametrize(
    ("kind", "constraint", "name", "good"),
    [
        ("permitted", dns("example.cn"), dns("example.cn"), True),
        ("permitted", dns("example.cn"), dns("WWW.Example.CN"), True),
        ("permitted", dns("example.cn"), dns("badexample.cn"), False),
        # RFC 5280 has no leading period for DNS names: it permits nothing, and excludes everything.
        ("permitted", dns(".example.cn"), dns("example.cn"), False),
        ("permitted", dns(".example.cn"), dns("a.example.cn"), False),
        ("excluded", dns(".example.cn"), dns("example.org"), False),
        ("permitted", dns(""), dns("anything.cn"), True),
        ("permitted", dns("example.cn"), dns("a..example.cn"), False),
        ("excluded", dns("example.cn"), dns("a.example.cn"), False),
        ("excluded", dns("a.example.cn"), dns("*.example.cn"), False),
        ("excluded", dns("a.b.example.cn"), dns("*.example.cn"), True),
        ("excluded", dns("example.cn"), dns("example.org"), True),
        ("permitted", dns("example.cn"), mail("a@example.org"), True),  # another kind: no business of ours
        ("permitted", mail("example.cn"), mail("a@EXAMPLE.cn"), True),
        ("permitted", mail("example.cn"), mail("a@sub.example.cn"), False),
        ("permitted", mail(".example.cn"), mail("a@sub.example.cn"), True),
        ("permitted", mail("example.cn"), mail("a@b@example.cn"), False),
        ("permitted", mail("example.cn"), mail('"a@b"@example.cn'), True),
        ("permitted", mail("a@example.cn"), mail("a@example.cn"), True),
        ("permitted", mail("a@example.cn"), mail("A@example.cn"), False),
        ("permitted", mail("example.cn"), mail("no-address"), False),
        ("permitted", uri("example.cn"), uri("https://example.cn:8443/x?y#z"), True),
        ("permitted", uri("example.cn"), uri("https://user@a.example.cn/"), False),
        ("permitted", uri(".example.cn"), uri("https://a.example.cn/"), True),
        ("permitted", uri("example.cn"), uri("urn:example.cn"), False),
        ("permitted", uri("example.cn"), uri("https://10.0.0.1/"), False),
        ("permitted", uri("example.cn"), uri("https://[::1]/"), False),
        ("permitted", net("10.1.0.0/16"), ip("10.1.2.3"), True),
        ("permitted", net("10.1.0.0/16"), ip("10.2.2.3"), False),
        ("permitted", net("10.1.0.0/16"), ip("::1"), False),
        ("excluded", net("2001:db8::/32"), ip("2001:db8::7"), False),
        ("permitted", firm("CN", "甲公司"), firm("cn", "甲公司", "张三"), True),
        ("permitted", firm("CN", "甲公司"), firm("CN", "乙公司", "张三"), False),
        ("permitted", registered("1.2.156"), registered("1.2.156"), True),
        ("permitted", registered("1.2.156"), registered("1.2.156.10260.4"), True),
        ("permitted", registered("1.2.156"), registered("1.2.1560"), False),
        ("permitted", registered("1.2.156"), registered("1.2"), False),
        ("excluded", registered("1.2.156"), registered("1.2.156.1"), False),
        ("excluded", registered("1.2.156"), registered("1.3"), True),
        ("permitted", srv("_ldap.example.cn"), srv("_ldap.a.example.cn"), True),
        ("permitted", srv("_ldap.example.cn"), srv("_mail.example.cn"), False),
        ("permitted", srv("_ldap"), srv("_LDAP.anything.cn"), True),
        ("permitted", srv("example.cn"), srv("_mail.Example.CN"), True),
        ("permitted", srv("example.cn"), srv("_mail.badexample.cn"), False),
        ("permitted", srv("example.cn"), srv("no service"), False),
        ("excluded", srv("_ldap.example.cn"), srv("_ldap.example.cn"), False),
        # Internationalised addresses are bound by the constraints on e-mail, whatever their own form says.
        ("permitted", mail("example.cn"), mailbox("张三@example.cn"), True),
        ("permitted", mail("example.cn"), mailbox("张三@example.org"), False),
        ("excluded", mail(".example.cn"), mailbox("张三@a.example.cn"), False),
        ("permitted", mailbox("a@example.cn"), mailbox("a@example.cn"), None),
        # A type that nobody here can compare refuses in scope, and is no concern of another type.
        ("permitted", other("1.2.3.4", b"\x0c\x01a"), other("1.2.3.4", b"\x0c\x01a"), None),
        ("excluded", other("1.2.3.4", b"\x0c\x01a"), other("1.2.3.4", b"\x0c\x01b"), None),
        ("excluded", other("1.2.3.4", b"\x0c\x01a"), other("1.2.3.5", b"\x0c\x01a"), True),
        ("permitted", other("1.2.3.4", b"\x0c\x01a"), dns("example.cn"), True),
    ],
)  # fmt: skip
def test_names(pki: Any, kind: str, constraint: Any, name: Any, good: bool | None) -> None:
    """root -> CA with one constraint -> leaf with one name. ``None``: the kind cannot be checked."""
    root = pki.root()
    # The subject lies in the permitted subtree, so that a directory constraint concerns the SAN only.
    subject = firm("CN", "甲公司", "甲").value
    constraints = x509.NameConstraints(**({"permitted_subtrees": None, "excluded_subtrees": None}
                                          | {f"{kind}_subtrees": [constraint]}))  # fmt: skip
    ca = pki.ca(root, extra=[(constraints, True)])
    leaf = pki.leaf(ca, subject, extra=[(x509.SubjectAlternativeName([name]), False)])
    inputs = {"root": root, "cas": [ca], "revocation_policy": OFF}
    if good:
        pki.validate(leaf, **inputs)
    else:
        with pytest.raises(RefusedError) as caught:
            pki.validate(leaf, **inputs)
        wanted = "NAME_CONSTRAINT_UNSUPPORTED" if good is None else "NAME_CONSTRAINT"
        assert caught.value.code == wanted
        assert caught.value.certificate == leaf.certificate


def test_email_in_the_subject_counts(pki: Any) -> None:
    root = pki.root()
    ca = pki.ca(root, extra=[(x509.NameConstraints([mail("example.cn")], None), True)])
    subject = x509.Name([x509.NameAttribute(x509.NameOID.EMAIL_ADDRESS, "a@example.org")])
    with pytest.raises(RefusedError) as caught:
        pki.validate(pki.leaf(ca, subject), root=root, cas=[ca], revocation_policy=OFF)
    assert caught.value.code == "NAME_CONSTRAINT"


def test_constraints_reach_the_ca_below_but_not_its_roll_over(pki: Any) -> None:
    """root -> CA (one firm only) -> sub CA outside of it: refused. A self-issued one is let through."""
    root = pki.root()
    limit = (x509.NameConstraints([firm("CN", "甲公司")], None), True)
    ca = pki.ca(root, extra=[limit])
    inputs = {"root": root, "revocation_policy": OFF}
    leaf_name = firm("CN", "甲公司", "张三").value
    outside = pki.ca(ca, "Sub CA")
    with pytest.raises(RefusedError) as caught:
        pki.validate(pki.leaf(outside, leaf_name), cas=[ca, outside], **inputs)
    assert caught.value.certificate == outside.certificate

    rolled = pki.ca(ca, "Issuing CA")
    pki.validate(pki.leaf(rolled, leaf_name), cas=[ca, rolled], **inputs)


def test_constraints_of_the_caller(pki: Any) -> None:
    """Initial subtrees (RFC 5280, 6.1.1 (h)) come as DER; what is no NameConstraints is refused."""
    root = pki.root()
    der = x509.NameConstraints([firm("CN", "甲公司")], None).public_bytes()
    parameters = PathParameters(revocation=OFF, constraints_der=der)
    pki.validate(pki.leaf(root, firm("CN", "甲公司").value), root=root, parameters=parameters)
    with pytest.raises(RefusedError):
        pki.validate(pki.leaf(root), root=root, parameters=parameters)
    broken = PathParameters(revocation=OFF, constraints_der=der[:-1])
    with pytest.raises(MalformedError):
        pki.validate(pki.leaf(root), root=root, parameters=broken)


def policies(*oids: str) -> tuple[x509.CertificatePolicies, bool]:
    information = [x509.PolicyInformation(x509.ObjectIdentifier(oid), None) for oid in oids]
    return x509.CertificatePolicies(information), False


def inputs(*initial: str, **flags: bool) -> PolicyInputs:
    return PolicyInputs(initial=frozenset(initial or {ANY}), **flags)


@pytest.mark.parametrize(
    ("in_ca", "in_leaf", "asked", "result"),
    [
        ([ONE], [ONE], inputs(), {ONE}),
        ([ONE, TWO], [TWO, THREE], inputs(), {TWO}),
        ([ANY], [ONE], inputs(), {ONE}),
        ([ONE], [ANY], inputs(), {ONE}),
        ([ANY], [ANY], inputs(), {ANY}),
        ([ANY], [ANY], inputs(ONE), {ONE}),
        ([ONE], [TWO], inputs(), set()),
        ([ONE], [], inputs(), set()),
        ([ONE], [TWO], inputs(require_explicit=True), None),
        ([ONE], [ONE], inputs(ONE, require_explicit=True), {ONE}),
        ([ONE], [ONE], inputs(TWO, require_explicit=True), None),
        ([ONE], [ANY], inputs(ONE, require_explicit=True, inhibit_any=True), None),
    ],
)
def test_policies(
    pki: Any, in_ca: list[str], in_leaf: list[str], asked: PolicyInputs, result: set[str] | None
) -> None:
    """root -> CA -> leaf; ``None`` for refused."""
    root = pki.root()
    ca = pki.ca(root, extra=[policies(*in_ca)])
    leaf = pki.leaf(ca, extra=[policies(*in_leaf)] if in_leaf else [])
    arguments = {"root": root, "cas": [ca], "revocation_policy": OFF, "policies": asked}
    if result is None:
        with pytest.raises(RefusedError) as caught:
            pki.validate(leaf, **arguments)
        assert caught.value.code == "POLICY"
    else:
        assert pki.validate(leaf, **arguments).policies == result


def mapping(pki: Any, *pairs: tuple[int, int]) -> tuple[x509.UnrecognizedExtension, bool]:
    value = pki.tlv(
        0x30,
        *(pki.tlv(0x30, *(pki.tlv(0x06, b"\x2a\x03" + bytes((last,))) for last in pair)) for pair in pairs),
    )
    return x509.UnrecognizedExtension(x509.ObjectIdentifier("2.5.29.33"), value), True


def test_mapping(pki: Any) -> None:
    """The CA's policy 1 is called 2 below it. The answer is in the terms of the anchor: 1."""
    root = pki.root()
    ca = pki.ca(root, extra=[policies(ONE), mapping(pki, (1, 2))])
    leaf = pki.leaf(ca, extra=[policies(TWO)])
    arguments = {"root": root, "cas": [ca], "revocation_policy": OFF}
    asked = inputs(ONE, require_explicit=True)
    assert pki.validate(leaf, **arguments, policies=asked).policies == {ONE}
    with pytest.raises(RefusedError):
        pki.validate(leaf, **arguments, policies=inputs(ONE, require_explicit=True, inhibit_mapping=True))


def test_mapping_of_any_policy(pki: Any) -> None:
    root = pki.root()
    any_policy = pki.tlv(0x06, b"\x55\x1d\x20\x00")
    value = pki.tlv(0x30, pki.tlv(0x30, any_policy, pki.tlv(0x06, b"\x2a\x03\x01")))
    ca = pki.ca(
        root,
        extra=[(x509.UnrecognizedExtension(x509.ObjectIdentifier("2.5.29.33"), value), True), policies(ONE)],
    )
    with pytest.raises(RefusedError) as caught:
        pki.validate(pki.leaf(ca), root=root, cas=[ca], revocation_policy=OFF)
    assert caught.value.code == "POLICY_MAPPING"


def test_certificate_asks_for_explicit_policy(pki: Any) -> None:
    """The CA says requireExplicitPolicy 0, the leaf has no policy. Refused."""
    root = pki.root()
    ca = pki.ca(root, extra=[policies(ONE), (x509.PolicyConstraints(0, None), True)])
    pki.validate(pki.leaf(ca, extra=[policies(ONE)]), root=root, cas=[ca], revocation_policy=OFF)
    with pytest.raises(RefusedError) as caught:
        pki.validate(pki.leaf(ca), root=root, cas=[ca], revocation_policy=OFF)
    assert caught.value.code == "POLICY"


def test_too_many_policies(pki: Any) -> None:
    root = pki.root()
    leaf = pki.leaf(root, extra=[policies(*(f"1.2.3.{i}" for i in range(300)))])
    with pytest.raises(RefusedError) as caught:
        pki.validate(leaf, root=root, revocation_policy=OFF)
    assert caught.value.code == "CERT_TOO_COMPLEX"
