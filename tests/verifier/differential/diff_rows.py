"""The rows of the table; see ``diff_table``."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from diff_keys import ED25519
from diff_peers import ACCEPT, CRASH, REFUSE
from diff_table import Row
from diff_undo import (
    able_anchors,
    addresses_in_names_only,
    all_key_identifiers,
    change,
    later_ends,
    later_lists,
    lists_of_all,
    lists_of_anchors,
    lists_of_issuers,
    named_keys,
    no_anchor_policies,
    no_any_usage,
    no_crl_issuers,
    no_deltas,
    no_endless_lists,
    no_lent_names,
    no_own_word,
    no_pointers_to_deltas,
    no_registered_ids,
    own_path_only,
    plain_anchors,
    pointers_to_deltas,
    stated_mappings,
    stated_policies,
    unread_lists_empty,
)
from diff_world import (
    ANY,
    CRL_SIGN,
    LEAF_USAGE,
    Cert,
    CrlSpec,
    Dn,
    Entry,
    Point,
    Scope,
    Tree,
    World,
)

OPENSSL = ("openssl", "pyopenssl")
ROOT = Cert(Dn("Root 1"), Dn("Root 1"), 0, 0)
CA = Cert(Dn("CA 0"), Dn("Root 1"), 1, 0)
LEAF = Cert(Dn("Leaf"), Dn("CA 0"), 2, 1, ca=None, usage=LEAF_USAGE)
STRAIGHT = World((ROOT, CA, LEAF), (0,), (CrlSpec(Dn("Root 1"), 0), CrlSpec(Dn("CA 0"), 1)))


def ask(world: World, **changes: Any) -> World:
    """The world with other inputs."""
    return replace(world, inputs=replace(world.inputs, **changes))


ROWS = (
    Row(
        id="one-path",
        peers=(*OPENSSL, "pyhanko"),
        kinds=(ACCEPT, REFUSE),
        undo=own_path_only,
        example=ask(
            World(
                (
                    ROOT,
                    Cert(Dn("Root 2"), Dn("Root 2"), 3, 3, path_length=0),
                    Cert(Dn("Root 2"), Dn("Root 1"), 3, 0),
                    replace(CA, issuer=Dn("Root 2"), signer=3),
                    LEAF,
                ),
                (0, 1),
            ),
            anchor_extensions=True,
        ),
    ),
    Row(
        id="pyhanko-anchor-policies",
        peers=("pyhanko",),
        kinds=(ACCEPT, REFUSE),
        seen=lambda case: case.world.inputs.anchor_extensions,
        undo=no_anchor_policies,
        example=ask(change(STRAIGHT, 0, policies=(1,)), anchor_extensions=True),
    ),
    Row(
        id="anchor-certificate",
        peers=(*OPENSSL, "pyhanko"),
        kinds=(ACCEPT, REFUSE),
        undo=plain_anchors,
        example=ask(change(STRAIGHT, 0, usage=LEAF_USAGE), crls=True),
    ),
    Row(
        id="key-identifier-decides",
        peers=(*OPENSSL, "pyhanko"),
        kinds=(ACCEPT, REFUSE),
        undo=named_keys,
        example=change(STRAIGHT, 2, authority_key_id="wrong"),
    ),
    Row(
        id="openssl-last-second",
        peers=("openssl",),
        kinds=(ACCEPT, REFUSE),
        undo=later_ends,
        example=change(STRAIGHT, 2, not_after=0),
    ),
    Row(
        id="openssl-any-usage",
        peers=("openssl",),
        kinds=(ACCEPT, REFUSE),
        undo=no_any_usage,
        example=ask(change(STRAIGHT, 2, extended=("any",)), client=True),
    ),
    Row(
        id="list-last-second",
        peers=("pyhanko", "pyopenssl"),
        kinds=(REFUSE, ACCEPT),
        undo=later_lists,
        example=ask(
            replace(STRAIGHT, crls=(STRAIGHT.crls[0], replace(STRAIGHT.crls[1], next_update=0))), crls=True
        ),
    ),
    Row(
        id="openssl-mapping-any",
        peers=OPENSSL,
        kinds=(REFUSE, ACCEPT),
        seen=lambda case: case.ours.reason == "POLICY_MAPPING",
        example=change(change(STRAIGHT, 1, mappings=((ANY, 1),)), 0),
    ),
    Row(
        id="openssl-mapping-under-any",
        peers=("openssl",),
        kinds=(ACCEPT, REFUSE),
        seen=lambda case: case.theirs.reason.startswith("43 at"),
        undo=stated_policies,
        example=ask(
            World(
                (
                    ROOT,
                    replace(CA, policies=(ANY,), mappings=((1, 2),)),
                    Cert(Dn("CA 1"), Dn("CA 0"), 3, 1, policies=(1, ANY)),
                    replace(LEAF, issuer=Dn("CA 1"), signer=3, policies=(2,)),
                ),
                (0,),
            ),
            policies=frozenset({1}),
            explicit=True,
        ),
    ),
    Row(
        id="openssl-mapping-inhibited-any",
        peers=("openssl",),
        kinds=(REFUSE, ACCEPT),
        seen=lambda case: case.ours.reason == "POLICY",
        undo=stated_mappings,
        example=ask(
            change(change(STRAIGHT, 1, policies=(ANY,), mappings=((1, 2), (2, 1))), 2, policies=(2,)),
            policies=frozenset({1, 2}),
            explicit=True,
            inhibit_any=True,
        ),
    ),
    Row(
        id="openssl-asks-about-anchors",
        peers=("openssl",),
        kinds=(ACCEPT, REFUSE),
        undo=lists_of_anchors,
        example=ask(
            World(
                (ROOT, replace(LEAF, issuer=Dn("Root 1"), signer=0)),
                (0,),
                (CrlSpec(Dn("Root 1"), 0, scope=Scope(only_user=True)),),
            ),
            crls=True,
        ),
    ),
    Row(
        id="openssl-list-signers",
        peers=OPENSSL,
        kinds=(ACCEPT, REFUSE),
        seen=lambda case: case.theirs.reason.split()[0] in {"3", "8", "19", "20", "44", "54"},
        undo=lists_of_all,
        example=ask(
            World(
                (ROOT, CA, Cert(Dn("CA 0"), Dn("CA 0"), 61, 1, ca=None, usage=frozenset({CRL_SIGN})), LEAF),
                (0,),
                (CrlSpec(Dn("Root 1"), 0), CrlSpec(Dn("CA 0"), 61)),
            ),
            crls=True,
        ),
    ),
    Row(
        id="pyhanko-named-issuer-only",
        peers=("pyhanko",),
        kinds=(ACCEPT, REFUSE),
        undo=no_crl_issuers,
        example=ask(change(STRAIGHT, 2, points=(Point(crl_issuer=Dn("CA 0")),)), crls=True),
    ),
    Row(
        id="delta-without-pointer",
        peers=(*OPENSSL, "pyhanko"),
        kinds=(REFUSE, ACCEPT),
        seen=lambda case: case.ours.reason in {"CERT_HELD", "CERT_REVOKED"},
        undo=pointers_to_deltas,
        example=ask(
            replace(
                STRAIGHT,
                crls=(
                    STRAIGHT.crls[0],
                    CrlSpec(Dn("CA 0"), 1, number=5),
                    CrlSpec(Dn("CA 0"), 1, (Entry(2, 6),), number=6, base=5),
                ),
            ),
            crls=True,
        ),
    ),
    Row(
        id="pyhanko-delta-required",
        peers=("pyhanko",),
        kinds=(ACCEPT, REFUSE),
        undo=no_pointers_to_deltas,
        example=ask(
            replace(STRAIGHT, crls=(STRAIGHT.crls[0], CrlSpec(Dn("CA 0"), 1, freshest=True))), crls=True
        ),
    ),
    Row(
        id="every-list",
        peers=(*OPENSSL, "pyhanko"),
        kinds=(ACCEPT, REFUSE),
        seen=lambda case: case.theirs.reason.startswith(("RevokedError", "23 at")),
        undo=unread_lists_empty,
        example=ask(
            World(
                (
                    ROOT,
                    Cert(Dn("Root 1"), Dn("Root 1"), 61, 0, ca=None, usage=frozenset({CRL_SIGN})),
                    CA,
                    LEAF,
                ),
                (0,),
                (
                    CrlSpec(Dn("Root 1"), 0, (Entry(2, 1),)),
                    CrlSpec(Dn("Root 1"), 61, number=2, this_update=-60),
                    CrlSpec(Dn("CA 0"), 1),
                ),
            ),
            crls=True,
        ),
    ),
    Row(
        id="pyhanko-lent-name",
        peers=("pyhanko",),
        kinds=(REFUSE, ACCEPT),
        seen=lambda case: case.ours.reason == "REVOCATION_UNKNOWN?:CRL_SIGNER",
        undo=no_lent_names,
        example=ask(
            World(
                (ROOT, CA, Cert(Dn("Root 1"), Dn("CA 0"), 61, 1, ca=None, usage=frozenset({CRL_SIGN})), LEAF),
                (0,),
                (CrlSpec(Dn("Root 1"), 61), CrlSpec(Dn("CA 0"), 1)),
            ),
            crls=True,
        ),
    ),
    Row(
        id="pyhanko-list-of-subordinate",
        peers=("pyhanko",),
        kinds=(REFUSE, ACCEPT),
        seen=lambda case: case.ours.reason.startswith("REVOCATION_UNKNOWN"),
        undo=lists_of_issuers,
        example=ask(
            World(
                (ROOT, CA, Cert(Dn("CA 1"), Dn("CA 0"), 3, 1), LEAF),
                (0,),
                (
                    CrlSpec(Dn("Root 1"), 0),
                    CrlSpec(Dn("CA 0"), 1, scope=Scope(only_ca=True)),
                    CrlSpec(Dn("CA 1"), 3),
                ),
            ),
            crls=True,
        ),
    ),
    Row(
        id="pyhanko-own-word",
        peers=("pyhanko",),
        kinds=(REFUSE, ACCEPT),
        seen=lambda case: case.ours.reason.startswith("REVOCATION_UNKNOWN"),
        undo=no_own_word,
        example=ask(
            World(
                (ROOT, CA, Cert(Dn("CA 0"), Dn("CA 0"), 5, 1), replace(LEAF, signer=5)),
                (0,),
                (CrlSpec(Dn("Root 1"), 0), CrlSpec(Dn("CA 0"), 5)),
            ),
            crls=True,
        ),
    ),
    Row(
        id="pyhanko-address-in-name",
        peers=("pyhanko",),
        kinds=(REFUSE, ACCEPT),
        undo=addresses_in_names_only,
        example=change(
            change(STRAIGHT, 1, excluded=(Tree("mail", "a.example"),)),
            2,
            subject=Dn("Leaf", email="u@a.example"),
            names=(Tree("mail", "v@b.example"),),
        ),
    ),
    Row(
        id="pyhanko-no-containment",
        peers=("pyhanko",),
        kinds=("", CRASH),
        seen=lambda case: "No containment checker available" in case.theirs.reason,
        example=change(
            change(STRAIGHT, 1, permitted=(Tree("ip", "10.0.0.0/8"),)), 2, names=(Tree("ip", "10.0.0.1"),)
        ),
    ),
    Row(
        id="pyhanko-other-names",
        peers=("pyhanko",),
        kinds=("", CRASH),
        seen=lambda case: "unhashable type: 'collections.OrderedDict'" in case.theirs.reason,
        example=change(STRAIGHT, 1, excluded=(Tree("other", "x"),)),
    ),
    Row(
        id="pyhanko-anchor-path-length",
        peers=("pyhanko",),
        kinds=("", CRASH),
        seen=lambda case: "for -=: 'NoneType' and 'int'" in case.theirs.reason,
        example=ask(change(STRAIGHT, 0, path_length=3), anchor_extensions=True),
    ),
    Row(
        id="pyhanko-other-algorithm",
        peers=("pyhanko",),
        kinds=("", CRASH),
        seen=lambda case: case.theirs.reason == "AssertionError: ",
        example=ask(
            World(
                (ROOT, CA, Cert(Dn("CA 0"), Dn("CA 0"), ED25519, 1), replace(LEAF, signer=ED25519)),
                (0,),
                (CrlSpec(Dn("Root 1"), 0), CrlSpec(Dn("CA 0"), 1), CrlSpec(Dn("CA 0"), ED25519)),
            ),
            crls=True,
        ),
    ),
    Row(
        id="pyhanko-anchor-dates",
        peers=("pyhanko",),
        kinds=(REFUSE, ACCEPT),
        seen=lambda case: (
            case.ours.reason in {"ANCHOR_EXPIRED", "ANCHOR_NOT_YET_VALID"}
            and not case.world.inputs.anchor_extensions
        ),
        example=change(STRAIGHT, 0, not_after=-1),
    ),
    Row(
        id="pyhanko-anchor-extensions",
        peers=("pyhanko",),
        kinds=(REFUSE, ACCEPT),
        seen=lambda case: case.world.inputs.anchor_extensions,
        undo=able_anchors,
        example=ask(change(STRAIGHT, 0, usage=frozenset({CRL_SIGN})), anchor_extensions=True),
    ),
    Row(
        id="openssl-anchor-without-constraints",
        peers=OPENSSL,
        kinds=(REFUSE, ACCEPT),
        seen=lambda case: case.ours.reason == "NOT_A_CA" and case.world.inputs.anchor_extensions,
        example=ask(change(STRAIGHT, 0, ca=None), anchor_extensions=True),
    ),
    Row(
        id="pyopenssl-loads-no-list",
        peers=("pyopenssl",),
        kinds=("", CRASH),
        seen=lambda case: "asn1 encoding routines" in case.theirs.reason and case.world.inputs.crls,
        example=ask(
            replace(STRAIGHT, crls=(*STRAIGHT.crls, CrlSpec(Dn("CA 0"), 1, (Entry(0, issuer=Dn("CA 0")),)))),
            crls=True,
        ),
    ),
    Row(
        id="no-key-identifier",
        peers=(*OPENSSL, "pyhanko"),
        kinds=(ACCEPT, REFUSE),
        undo=all_key_identifiers,
        example=ask(
            World(
                (
                    ROOT,
                    Cert(Dn("Root 1"), Dn("Root 1"), 1, 0, authority_key_id="none"),
                    replace(LEAF, issuer=Dn("Root 1"), signer=1, authority_key_id="none"),
                ),
                (0,),
                (CrlSpec(Dn("Root 1"), 1), CrlSpec(Dn("Root 1"), 0, scope=Scope(only_ca=True))),
            ),
            crls=True,
        ),
    ),
    Row(
        id="list-without-end",
        peers=OPENSSL,
        kinds=(REFUSE, ACCEPT),
        undo=no_endless_lists,
        example=ask(
            replace(STRAIGHT, crls=(STRAIGHT.crls[0], replace(STRAIGHT.crls[1], next_update=None))), crls=True
        ),
    ),
    Row(
        id="openssl-registered-ids",
        peers=OPENSSL,
        kinds=(ACCEPT, REFUSE),
        undo=no_registered_ids,
        example=change(
            change(STRAIGHT, 1, permitted=(Tree("rid", "1.3.6.1.4.1.55555.7"),)),
            2,
            names=(Tree("rid", "1.3.6.1.4.1.55555.7.1"),),
        ),
    ),
    Row(
        id="pyhanko-distant-signer",
        peers=("pyhanko",),
        kinds=(ACCEPT, REFUSE),
        seen=lambda case: "chain of trust for the CRL issuer" in case.theirs.reason,
        example=ask(
            World(
                (
                    ROOT,
                    CA,
                    Cert(Dn("Bridge"), Dn("Root 1"), 3, 0),
                    Cert(Dn("CRL"), Dn("Bridge"), 4, 3, ca=None, usage=frozenset({CRL_SIGN})),
                    replace(LEAF, points=(Point(crl_issuer=Dn("CRL")),)),
                ),
                (0,),
                (
                    CrlSpec(Dn("Root 1"), 0),
                    CrlSpec(Dn("Bridge"), 3),
                    CrlSpec(Dn("CRL"), 4, scope=Scope(indirect=True)),
                ),
            ),
            crls=True,
        ),
    ),
    Row(
        id="openssl-ended-base",
        peers=OPENSSL,
        kinds=(REFUSE, ACCEPT),
        seen=lambda case: case.ours.reason.startswith("REVOCATION_UNKNOWN"),
        undo=no_deltas,
        example=ask(
            replace(
                STRAIGHT,
                crls=(
                    STRAIGHT.crls[0],
                    CrlSpec(Dn("CA 0"), 1, number=5, freshest=True, next_update=-1),
                    CrlSpec(Dn("CA 0"), 1, number=6, base=5),
                ),
            ),
            crls=True,
        ),
    ),
)
