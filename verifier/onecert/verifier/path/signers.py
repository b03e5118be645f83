"""Who may sign revocation information about a certificate: RFC 5280, 6.3.3 (f), and RFC 6960, 4.2.2.2."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from onecert.verifier.certificate import ParsedCertificate
from onecert.verifier.errors import BudgetError, CouldNotCheckError, SignatureInvalidError, VerifyError
from onecert.verifier.path.checks import check_alone
from onecert.verifier.path.strict import check_crl_profile
from onecert.verifier.path.validate import NOT_ASKED, PathState, RevocationAnswer, finish
from onecert.verifier.revocation.crl import Crl
from onecert.verifier.revocation.ocsp import OcspResponse
from onecert.verifier.signatures import PublicKey, load_public_key, parse_algorithm, verify_signature

if TYPE_CHECKING:
    from datetime import datetime

    from onecert.verifier.anchors import TrustAnchor
    from onecert.verifier.path.inputs import Budget
    from onecert.verifier.path.search import Search

__all__ = ["check_crl_signer", "check_responder", "may_certify_signers"]

_CRL_SIGN = 6
_EMPTY_ID = "SM2_EMPTY_ID"
# A signer whose own status stands on the list of another signer, and so on: two or three have been seen.
_SIGNERS_DEPTH_MAX = 8
_OCSP_NO_CHECK = "1.3.6.1.5.5.7.48.1.5"


def check_crl_signer(search: Search, crl: Crl, state: PathState) -> datetime | None:
    """Raise unless the issuer itself, the anchor, or a signer certified under the same anchor signed ``crl``.

    Returns:
        ``None`` for the issuer and the anchor; else the end of what was learned about the signer.

    Raises:
        CouldNotCheckError: ``CRL_SIGNER``.
        VerifyError: the signer's own path does not validate.
    """
    if search.validator.parameters.strict:
        check_crl_profile(crl)
    known: list[tuple[PublicKey, bytes | None]] = []
    if crl.issuer == state.issuer and (state.key_usage is None or _CRL_SIGN in state.key_usage):
        known.append((state.key, state.key_id))
    known += [
        (anchor.public_key, anchor.subject_key_id)
        for anchor in search.validator.anchors.get(crl.issuer, ())
        if _is_same_service(anchor, state.anchor, search.at)
    ]
    for key, key_id in known:
        if _fits(crl.authority_key_id, key_id) and _has_signed(search, crl, key):
            return None
    failure: VerifyError | None = None
    is_too_deep = len(search.asking) > _SIGNERS_DEPTH_MAX
    for signer in () if is_too_deep else search.candidates_for(crl.issuer):
        if not _fits(crl.authority_key_id, signer.subject_key_id):
            continue
        if signer.der in search.asking and signer.der not in search.vouching:
            # Whoever has its key would call off its revocation.
            continue
        try:
            if not _has_signed(search, crl, load_public_key(signer.spki_der)):
                continue
            # An indirect list of another issuer is one that the certificate itself names.
            return search.signer_path(signer, state, by_superiors=crl.issuer == state.issuer).valid_until
        except BudgetError:
            raise
        except VerifyError as exc:
            failure = exc
    raise CouldNotCheckError(
        "CRL_SIGNER",
        source="RFC 5280, section 6.3.3 (f), (g)",
        issuer=crl.issuer_text,
        cause="" if failure is None else failure.code,
    ) from failure


def may_certify_signers(
    above: tuple[ParsedCertificate, ...], state: PathState, asking: frozenset[bytes], *, by_superiors: bool
) -> bool:
    """Tell whether the authorities ``above`` a signer, lowest first, may speak in a question below ``state``.

    Nobody whose own status is the question speaks in it, nor whoever was certified below.
    """
    ders = tuple(certificate.der for certificate in reversed(above))
    if not asking.isdisjoint(ders):
        return False
    return not by_superiors or ders == tuple(item.der for item in state.chain[: len(ders)])


def _is_same_service(anchor: TrustAnchor, other: TrustAnchor, at: datetime) -> bool:
    """Tell whether the key of ``anchor`` may sign lists where ``other`` is trusted.

    Section 6.3.3 (f) wants one anchor for the certificate and the list. A service of a trust list that has
    changed its key is one anchor with several keys: one name, and the label that the list's reader gave it.
    """
    if anchor is not other:
        if not anchor.label or (anchor.label, anchor.name) != (other.label, other.name):
            return False
        if anchor.valid_from is not None and at < anchor.valid_from:
            return False
        if anchor.valid_until is not None and at > anchor.valid_until:
            return False
    return anchor.key_usage is None or _CRL_SIGN in anchor.key_usage


def _fits(named: bytes | None, key_id: bytes | None) -> bool:
    return named is None or key_id is None or named == key_id


def _has_signed(search: Search, crl: Crl, key: PublicKey) -> bool:
    search.budget.signature(parse_algorithm(crl.algorithm_der).cost)
    try:
        crl.check_signature(key, policy=search.validator.parameters.algorithms, at=search.at)
    except SignatureInvalidError as exc:
        if exc.code == _EMPTY_ID:
            raise  # this key has signed, in a way that does not count
        return False
    return True


@dataclass(frozen=True)
class _ResponderSurroundings:
    """Lends the search to the validation of a responder's certificate, with its own rule about revocation."""

    search: Search

    @property
    def budget(self) -> Budget:
        return self.search.budget

    @property
    def at(self) -> datetime:
        return self.search.at

    def load_key(self, public_key_der: bytes) -> PublicKey:
        return self.search.load_key(public_key_der)

    def check_signature(
        self, certificate: ParsedCertificate, key: PublicKey, key_spki_der: bytes, *, final: bool
    ) -> None:
        self.search.check_signature(certificate, key, key_spki_der, final=final)

    def check_revocation(self, certificate: ParsedCertificate, state: PathState) -> RevocationAnswer:
        # RFC 6960, section 4.2.2.2.1: with id-pkix-ocsp-nocheck the CA vouches for the life of the
        # certificate; without it a CRL must say so. A responder does not speak about itself.
        if _OCSP_NO_CHECK in certificate.extensions:
            return NOT_ASKED
        return self.search.check_revocation(certificate, state, use_ocsp=False)


def check_responder(search: Search, response: OcspResponse, state: PathState) -> datetime | None:
    """Raise unless the issuer of the certificate, or a responder that this CA key authorised, has signed.

    Returns:
        ``None`` for the issuer; else the end of what was learned about the responder.

    Raises:
        CouldNotCheckError: ``OCSP_RESPONDER``.
    """
    if response.is_from(state.issuer, state.spki_der):
        try:
            _check_response_signature(search, response, state.key)
        except SignatureInvalidError as exc:
            if exc.code == _EMPTY_ID:
                raise
            # Else an authorised responder may bear the name of the CA.
        else:
            return None
    detail = "no certificate of the responder"
    named = () if response.responder_name is None else search.candidates_for(response.responder_name)
    for certificate in (*response.certificates, *named):
        if not response.is_from(certificate.subject, certificate.spki_der):
            continue
        try:
            return _check_delegate(search, response, certificate, state)
        except BudgetError:
            raise
        except VerifyError as exc:
            detail = str(exc)
    raise CouldNotCheckError("OCSP_RESPONDER", source="RFC 6960, section 4.2.2.2", detail=detail)


def _check_delegate(
    search: Search, response: OcspResponse, certificate: ParsedCertificate, state: PathState
) -> datetime:
    if certificate.issuer != state.issuer:
        # A certificate of another CA, however trusted, does not speak for this one.
        raise CouldNotCheckError("OCSP_RESPONDER", detail="it was not certified by this issuer")
    parameters = search.validator.responder_parameters
    check_alone(certificate, parameters, search.at)
    if not certificate.not_before <= response.produced_at <= certificate.not_after:
        raise CouldNotCheckError("OCSP_RESPONDER", detail="the answer was made outside its validity")
    path = finish(state, certificate, parameters, _ResponderSurroundings(search))
    _check_response_signature(search, response, load_public_key(certificate.spki_der))
    return path.valid_until


def _check_response_signature(search: Search, response: OcspResponse, key: PublicKey) -> None:
    row = parse_algorithm(response.algorithm_der)
    search.budget.signature(row.cost)
    verify_signature(
        key,
        row,
        response.signature,
        response.tbs,
        policy=search.validator.parameters.algorithms,
        at=search.at,
    )
