"""Who the holder of a certificate is: profiles, strict decoding, claims, one canonical id."""

from onecert.verifier.identity.check_digits import IdType
from onecert.verifier.identity.claims import ClaimView
from onecert.verifier.identity.errors import DecodeError, IdentityError, InvalidIdError, ProfileError
from onecert.verifier.identity.identity import Entity, Identity, Person, PersonRule, identify
from onecert.verifier.identity.pairwise import load_pairwise_key, pairwise_id
from onecert.verifier.identity.profile import HolderClass, IdentityProfile, load_profile, parse_profile
from onecert.verifier.identity.registry import (
    Alias,
    ClosedEntities,
    MemoryRegistry,
    NoRegistry,
    Registry,
    RegistryEntry,
)

__all__ = [
    "Alias",
    "ClaimView",
    "ClosedEntities",
    "DecodeError",
    "Entity",
    "HolderClass",
    "IdType",
    "Identity",
    "IdentityError",
    "IdentityProfile",
    "InvalidIdError",
    "MemoryRegistry",
    "NoRegistry",
    "Person",
    "PersonRule",
    "ProfileError",
    "Registry",
    "RegistryEntry",
    "identify",
    "load_pairwise_key",
    "load_profile",
    "pairwise_id",
    "parse_profile",
]
