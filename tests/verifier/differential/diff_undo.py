"""Worlds without the one feature to which a row of the table ascribes a disagreement."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from diff_build import certificate, crl
from diff_table import Case
from diff_world import ANY, KEY_CERT_SIGN, Cert, CrlSpec, Dn, World


def change(world: World, number: int, **changes: Any) -> World:
    """The world with one certificate changed."""
    certs = list(world.certificates)
    certs[number] = replace(certs[number], **changes)
    return replace(world, certificates=tuple(certs))


def own_path_only(world: World, case: Case) -> World:
    """Of the CA certificates, only those of the path that we accepted."""
    used = {
        number
        for number, cert in enumerate(world.certificates)
        if certificate(cert, number) in case.ours.path
    }
    anchors = tuple(number for number in world.anchors if number in used)
    unused = {
        number
        for number, cert in enumerate(world.certificates)
        if number not in used and (cert.ca or KEY_CERT_SIGN in (cert.usage or ()))
    }
    return replace(world, anchors=anchors, withheld=frozenset(unused))


def plain_anchors(world: World, _: Case) -> World:
    """Anchors whose certificates say nothing but name, key and dates."""
    for number in world.anchors:
        old = world.certificates[number]
        plain = Cert(
            old.subject,
            old.issuer,
            old.key,
            old.signer,
            not_before=old.not_before,
            not_after=old.not_after,
            altered=old.altered,
            authority_key_id=old.authority_key_id,
            subject_key_id=old.subject_key_id,
        )
        world = change(world, number, **vars(plain))
    return world


def able_anchors(world: World, _: Case) -> World:
    """Only anchors that are CAs, may sign certificates, and hold nothing critical that nobody knows."""
    able = tuple(
        number
        for number in world.anchors
        if (cert := world.certificates[number]).ca
        and (cert.usage is None or KEY_CERT_SIGN in cert.usage)
        and cert.unknown != "critical"
    )
    return replace(world, anchors=able, withheld=world.withheld | {*world.anchors} - {*able})


def named_keys(world: World, _: Case) -> World:
    """No authority key identifier that names another key than the one that signed."""
    certs = tuple(
        replace(cert, authority_key_id="key" if cert.authority_key_id == "wrong" else cert.authority_key_id)
        for cert in world.certificates
    )
    return replace(world, certificates=certs)


def later_ends(world: World, _: Case) -> World:
    """No certificate ends in the second that is asked about."""
    return replace(
        world,
        certificates=tuple(replace(cert, not_after=cert.not_after or 1) for cert in world.certificates),
    )


def later_lists(world: World, _: Case) -> World:
    """No list ends in the second that is asked about: those that do have ended before."""
    return replace(
        world,
        crls=tuple(
            replace(crl, next_update=-1 if crl.next_update == 0 else crl.next_update) for crl in world.crls
        ),
    )


def no_any_usage(world: World, _: Case) -> World:
    """Nobody says anyExtendedKeyUsage."""
    return replace(
        world,
        certificates=tuple(
            replace(cert, extended=() if "any" in cert.extended else cert.extended)
            for cert in world.certificates
        ),
    )


def lists_of_anchors(world: World, _: Case) -> World:
    """Each anchor has a complete list of its own key, older than all others."""
    return _with_lists(
        world, {(world.certificates[n].issuer, world.certificates[n].signer) for n in world.anchors}
    )


def lists_of_all(world: World, _: Case) -> World:
    """Each key that signs certificates has signed a complete list, older than all others."""
    return _with_lists(world, {(cert.issuer, cert.signer) for cert in world.certificates})


def _with_lists(world: World, issuers: set[tuple[Dn, int]]) -> World:
    added = tuple(
        CrlSpec(issuer, signer, number=0, this_update=-80000) for issuer, signer in sorted(issuers, key=str)
    )
    return replace(world, crls=(*world.crls, *added))


def no_pointers_to_deltas(world: World, _: Case) -> World:
    return replace(world, crls=tuple(replace(crl, freshest=False) for crl in world.crls))


def pointers_to_deltas(world: World, _: Case) -> World:
    return replace(world, crls=tuple(replace(crl, freshest=crl.base is None) for crl in world.crls))


def unread_lists_empty(world: World, case: Case) -> World:
    """No entries on complete lists that we left unread because another of their issuer had answered."""
    answered = {spec.issuer.entity for spec in world.crls if crl(spec) in case.ours.lists}
    emptied = tuple(
        replace(spec, entries=())
        if spec.base is None and spec.issuer.entity in answered and crl(spec) not in case.ours.lists
        else spec
        for spec in world.crls
    )
    return replace(world, crls=emptied)


def all_key_identifiers(world: World, _: Case) -> World:
    """Every certificate and list names the key that signed it, and its own."""
    certs = tuple(
        replace(
            cert,
            subject_key_id=True,
            authority_key_id="key" if cert.authority_key_id == "none" else cert.authority_key_id,
        )
        for cert in world.certificates
    )
    return replace(
        world, certificates=certs, crls=tuple(replace(spec, authority_key_id=True) for spec in world.crls)
    )


def no_deltas(world: World, _: Case) -> World:
    """Complete lists only."""
    return replace(world, crls=tuple(spec for spec in world.crls if spec.base is None))


def no_endless_lists(world: World, _: Case) -> World:
    """Lists without nextUpdate have ended."""
    return replace(
        world,
        crls=tuple(
            replace(spec, next_update=-1) if spec.next_update is None else spec for spec in world.crls
        ),
    )


def no_registered_ids(world: World, _: Case) -> World:
    """No constraint on registered identifiers."""
    certs = tuple(
        replace(
            cert,
            permitted=tuple(tree for tree in cert.permitted if tree.kind != "rid"),
            excluded=tuple(tree for tree in cert.excluded if tree.kind != "rid"),
        )
        for cert in world.certificates
    )
    return replace(world, certificates=certs)


def no_anchor_policies(world: World, _: Case) -> World:
    """Anchors without policies."""
    for number in world.anchors:
        world = change(world, number, policies=None)
    return world


def no_crl_issuers(world: World, _: Case) -> World:
    """No distribution point names the issuer of a list."""
    certs = tuple(
        replace(cert, points=tuple(point for point in cert.points if point.crl_issuer is None))
        for cert in world.certificates
    )
    return replace(world, certificates=certs)


def no_lent_names(world: World, _: Case) -> World:
    """No list is signed by whom another authority has certified under the name of the list's issuer."""
    lent = {
        (cert.subject.entity, cert.key)
        for cert in world.certificates
        if not cert.ca and cert.subject.entity != cert.issuer.entity
    }
    return _without_lists_of(world, lent)


def lists_of_issuers(world: World, _: Case) -> World:
    """No list signed with a key that another authority has certified."""
    certified = {
        (cert.subject.entity, cert.key)
        for cert in world.certificates
        if cert.subject.entity != cert.issuer.entity
    }
    return _without_lists_of(world, certified)


def no_own_word(world: World, _: Case) -> World:
    """No list signed with a key that its issuer has certified for itself beside the one it had."""
    certified = {
        (cert.subject.entity, cert.key)
        for cert in world.certificates
        if cert.subject.entity == cert.issuer.entity and cert.key != cert.signer
    }
    return _without_lists_of(world, certified)


def _without_lists_of(world: World, signers: set[tuple[str, int]]) -> World:
    kept = tuple(spec for spec in world.crls if (spec.issuer.entity, spec.signer) not in signers)
    return replace(world, crls=kept)


def addresses_in_names_only(world: World, _: Case) -> World:
    return replace(
        world,
        certificates=tuple(
            replace(cert, names=() if cert.subject.email else cert.names) for cert in world.certificates
        ),
    )


def stated_policies(world: World, _: Case) -> World:
    """Whoever states anyPolicy and maps others states those too."""
    certs = tuple(
        replace(
            cert, policies=(*cert.policies, *sorted({above for above, _ in cert.mappings} - {*cert.policies}))
        )
        if cert.policies and ANY in cert.policies
        else cert
        for cert in world.certificates
    )
    return replace(world, certificates=certs)


def stated_mappings(world: World, _: Case) -> World:
    """Only mappings of policies that the certificate states."""
    return replace(
        world,
        certificates=tuple(
            replace(cert, mappings=tuple(pair for pair in cert.mappings if pair[0] in (cert.policies or ())))
            for cert in world.certificates
        ),
    )
