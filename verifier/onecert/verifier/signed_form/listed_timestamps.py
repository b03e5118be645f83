"""Timestamp authorities of the trust list: whose tokens count, and the state of the service behind one.

A service of the type ``urn:onecert:service-type:tsa`` is the CA of the units that stamp. Its anchors are
never those of CAs for holders, nor the other way round; one key belongs to one service of a list.
"""

from __future__ import annotations

from datetime import datetime

from onecert.verifier.certificate import ParsedCertificate
from onecert.verifier.errors import RefusedError
from onecert.verifier.path import PathParameters
from onecert.verifier.purposes import TIMESTAMPING
from onecert.verifier.service_status import Moments, ServiceStatusError, check_service, service_facts
from onecert.verifier.service_terms import check_terms
from onecert.verifier.signed_form.past_path import JudgedPath, PathTrust
from onecert.verifier.signed_form.timestamp import TimestampTrust
from onecert.verifier.trust_list.model import TrustedService, TrustList
from onecert.verifier.trust_list.vocabulary import Status
from onecert.verifier.verifier import Verifier

__all__ = ["ListedAuthorities", "listed_timestamps"]


class ListedAuthorities:
    """Judges the service behind a token by the rule table of CAs, at the time that the token states."""

    def __init__(self, trust_list: TrustList) -> None:
        self._services = {service.id: service for service in trust_list if service.is_timestamp_authority}

    def check(self, judged: JudgedPath, *, stamped: datetime, known_at: datetime) -> None:
        """Raise unless the service could be relied upon when the token was made.

        Args:
            stamped: the time in the token; not proved by anything but the service itself.

        Raises:
            RefusedError: CERT_ISSUER_NOT_LISTED, CA_KEY_COMPROMISED and the others of ``check_service`` and
                ``check_terms``.
        """
        target = judged.path.target
        service = self._services.get(judged.path.anchor.label)
        if service is None:
            raise RefusedError("CERT_ISSUER_NOT_LISTED", certificate=target.certificate)
        # Whoever has the key writes any time he likes: from then on no token of it proves anything.
        _check_not_compromised(service, known_at)
        check_service(service, _moments(target, judged, stamped, known_at))
        check_terms(service, judged.path, stamped)


def listed_timestamps(verifier: Verifier, at: datetime) -> TimestampTrust | None:
    """The authorities of the list in use, with the department's evidence; ``None`` when it has none.

    Raises:
        VerifyError: there is no list that may be used at this time.
    """
    trust_list = verifier.trust_list(at)
    if not trust_list.timestamp_anchors:
        return None
    path = PathTrust(
        anchors=trust_list.timestamp_anchors,
        candidates=verifier._candidates,
        evidence=verifier.evidence(at),
        parameters=PathParameters(
            revocation=verifier.revocation_policy(TIMESTAMPING),
            algorithms=verifier.algorithms,
            limits=verifier._limits,
        ),
    )
    return TimestampTrust(path=path, authorities=ListedAuthorities(trust_list))


def _check_not_compromised(service: TrustedService, known_at: datetime) -> None:
    for entry in service.history:
        if entry.status is Status.KEY_COMPROMISED and entry.start <= known_at:
            raise ServiceStatusError("CA_KEY_COMPROMISED", since=entry.start, **service_facts(service))


def _moments(target: ParsedCertificate, judged: JudgedPath, stamped: datetime, known_at: datetime) -> Moments:
    return Moments(
        issued=target.not_before,
        used=stamped,
        checked=max(stamped, known_at),
        # A unit has a handful of certificates, which nobody records one by one.
        recorded=True,
        time_proved=True,
        status_answered=judged.is_answered,
    )
