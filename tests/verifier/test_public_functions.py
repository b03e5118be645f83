"""What leaves the public functions: bytes end in a ``VerifyError``, a program's mistake in a clear
``TypeError`` or ``ValueError``."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import onecert.verifier
from onecert.verifier import (
    Limits,
    MalformedError,
    PathParameters,
    PathValidator,
    PolicyInputs,
    RefusedError,
    RevocationEvidence,
    RevocationMode,
    RevocationPolicy,
    RevocationSources,
    TrustAnchor,
    VerifyError,
    explain,
    load_certificate,
    load_crl,
    load_ocsp,
    load_public_key,
    load_trust_root,
    parse_certificate,
    validate_path,
)
from onecert.verifier.messages import message

LOADERS: list[Callable[[Any], object]] = [
    load_certificate,
    parse_certificate,
    load_crl,
    load_ocsp,
    load_public_key,
    load_trust_root,
    TrustAnchor.from_certificate,
    lambda data: RevocationEvidence(crls=[data]),
    lambda data: RevocationEvidence(ocsp=[data]),
]


@pytest.mark.parametrize("load", LOADERS)
@pytest.mark.parametrize(
    "data",
    [b"", b"\x30", b"\x30\x80\x00\x00", b"\x30\x84\xff\xff\xff\xff", b"-----BEGIN", b"{}", b"\xff" * 99],
)
def test_bytes_never_cause_anything_else(load: Callable[[Any], object], data: bytes) -> None:
    with pytest.raises(VerifyError):
        load(data)


@pytest.mark.parametrize("load", LOADERS)
@pytest.mark.parametrize("wrong", ["clerk.crt", "", None, 5, Path("clerk.crt"), ["clerk.crt"], object()])
def test_what_is_no_bytes_is_named(load: Callable[[Any], object], wrong: object) -> None:
    """A path or a text where bytes belong: the message says what came."""
    with pytest.raises(TypeError, match=type(wrong).__name__):
        load(wrong)


@pytest.mark.parametrize("buffer", [bytearray, memoryview])
def test_other_buffers_are_bytes(buffer: Callable[[bytes], Any], pki: Any) -> None:
    root = pki.root()
    assert load_certificate(buffer(root.der)) == root.certificate
    assert TrustAnchor.from_certificate(buffer(root.der)).subject == "CN=Root,C=CN"
    assert len(load_crl(buffer(pki.crl(root)))) == 0


def test_anchors_from_garbage(pki: Any) -> None:
    """Name, key and constraints of an anchor are bytes of somebody: garbage in them is refused."""
    root = pki.root()
    good = {"name_der": root.subject.public_bytes(), "public_key_der": root.anchor.public_key_der}
    leaf = pki.leaf(root)
    for change in ({"name_der": b"x"}, {"public_key_der": b"x"}, {"constraints_der": b"x"}):
        with pytest.raises(RefusedError):
            PathValidator(anchors=[TrustAnchor(**{**good, **change})]).validate(leaf.der, at=pki.T)
    with pytest.raises(MalformedError):
        assert TrustAnchor(**{**good, "name_der": b"x"}).name
    with pytest.raises(ValueError, match="valid_from"):
        TrustAnchor(**good, valid_from=pki.T.replace(tzinfo=None))
    with pytest.raises(TypeError, match="name_der"):
        TrustAnchor(**{**good, "name_der": "CN=Root"})


def test_times_without_a_zone(pki: Any) -> None:
    root = pki.root()
    leaf = pki.leaf(root).der
    validator = PathValidator(anchors=[root.anchor])
    naive = pki.T.replace(tzinfo=None)
    for ask in (validator.validate, validator.explain):
        with pytest.raises(ValueError, match="aware"):
            ask(leaf, at=naive)
        with pytest.raises(TypeError, match="datetime"):
            ask(leaf, at="2026-11-21")
    with pytest.raises(ValueError, match="aware"):
        list(validator.validate_many([leaf], at=naive))


def test_targets_and_collections(pki: Any) -> None:
    """One object where a list belongs, and the other way round."""
    root = pki.root()
    leaf = pki.leaf(root).der
    validator = PathValidator(anchors=[root.anchor])
    for target in ("leaf.crt", None, Path("leaf.crt"), [leaf]):
        for ask in (validator.validate, validator.explain):
            with pytest.raises(TypeError, match=type(target).__name__):
                ask(target, at=pki.T)
    wrong: list[dict[str, Any]] = [
        {"anchors": [root.der]},
        {"anchors": root.der},
        {"anchors": root.anchor},
        {"anchors": [root.anchor], "candidates": root.der},
        {"anchors": [root.anchor], "candidates": [5]},
        {"anchors": [root.anchor], "evidence": [pki.crl(root)]},
        {"anchors": [root.anchor], "parameters": {"strict": True}},
    ]
    for inputs in wrong:
        with pytest.raises(TypeError):
            PathValidator(**inputs)


def test_parameters(pki: Any) -> None:
    root = pki.root()
    inputs = {"anchors": [root.anchor], "at": pki.T}
    for change in ({"purpose": "login"}, {"policies": "1.2.3"}, {"revocation_policy": "off"}):
        with pytest.raises(TypeError):
            validate_path(pki.leaf(root).der, **inputs, **change)
    with pytest.raises(TypeError, match="initial"):
        PolicyInputs(initial="1.2.3")  # type: ignore[arg-type]
    assert PolicyInputs(initial=["1.2.3"]).initial == {"1.2.3"}  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="path_steps"):
        Limits(path_steps=-1)
    validator = PathValidator(anchors=[root.anchor], parameters=PathParameters(constraints_der=b"x"))
    with pytest.raises(VerifyError):
        validator.validate(pki.leaf(root).der, at=pki.T)


def test_words_of_a_revocation_policy() -> None:
    """``mode="off"`` is the member; a word that is none was judged as the strictest mode, in silence."""
    assert RevocationPolicy(mode="off").mode is RevocationMode.OFF  # type: ignore[arg-type]
    assert RevocationPolicy(ca_sources="crl").ca_sources is RevocationSources.CRL  # type: ignore[arg-type]
    for change in ({"mode": "nothing"}, {"ca_mode": "nothing"}, {"sources": "nothing"}):
        with pytest.raises(ValueError, match="nothing"):
            RevocationPolicy(**change)  # type: ignore[arg-type]


def test_explain_takes_answers_only() -> None:
    with pytest.raises(TypeError, match="NoneType"):
        explain(None)  # type: ignore[arg-type]


def test_unknown_language_is_answered_in_english() -> None:
    assert message("CRL_SCOPE", "fr", issuer="CN=A") == message("CRL_SCOPE", "en", issuer="CN=A")


def test_every_public_name_has_a_docstring() -> None:
    for name in onecert.verifier.__all__:
        value = getattr(onecert.verifier, name)
        assert (value.__doc__ or "").strip(), name
