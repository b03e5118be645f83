"""The timestamp authorities: for each authority with the profile `timestamp`, one key that signs tokens.

RFC 3161. The policy of the tokens is the first policy of that profile. Nothing is kept of a token: it is
proof by itself, and its serial number is drawn at random (128 bits).
"""

from __future__ import annotations

import logging
import threading
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any

from prometheus_client import Counter

from onecert.ca.authorities.authorities import Authorities, Authority
from onecert.ca.authorities.delegates import Delegate, Delegates
from onecert.ca.certificates.draft import random_serial
from onecert.ca.certificates.lint_rules import fault
from onecert.ca.der import oid
from onecert.ca.errors import (
    CaError,
    ClockJumpedError,
    ClockNotKeptError,
    LintError,
    UnknownAuthorityError,
)
from onecert.ca.operation.clock_guard import ClockGuard
from onecert.ca.signatures.algorithms import sign
from onecert.ca.signatures.signer import Signer
from onecert.ca.timestamps.frames import attributes_about, granted_token, usual_request
from onecert.ca.timestamps.messages import (
    Failure,
    RequestRefused,
    TokenSigner,
    check_signature,
    check_token,
    granted,
    load_request,
    refusal,
    shape_of,
    timestamp_info,
    token,
)
from onecert.hsm import TokenError
from onecert.server import metrics
from onecert.server.errors import ServiceError

__all__ = ["PROFILE", "TimestampAuthorities"]

log = logging.getLogger(__name__)

PROFILE = "timestamp"
# Shapes whose first token was read back; clients decide some of their lengths.
SHAPES_MAX = 1024

_answers = Counter(
    "onecert_timestamps", "Answers to timestamp requests", ["authority", "result"], registry=metrics.registry
)


@lru_cache(maxsize=64)
def _granted(authority: str) -> Any:
    """To find a counter by its labels costs as much as to write a token."""
    return _answers.labels(authority, "granted")


class TimestampAuthorities:
    """Answers timestamp requests for all authorities of this service that offer it.

    Args:
        accuracy: how far off the stated time may be; goes into every token.
        ordering: tokens of one authority bear times that only grow. Only for one process that signs.
    """

    def __init__(
        self,
        *,
        authorities: Authorities,
        delegates: Delegates,
        signer: Signer,
        clock: ClockGuard,
        accuracy: timedelta,
        ordering: bool,
    ) -> None:
        self._authorities = authorities
        self._delegates = delegates
        self._signer = signer
        self._clock = clock
        self._accuracy = accuracy
        self._ordering = ordering
        self._last: datetime | None = None
        self._lock = threading.Lock()
        self._signers: dict[str, TokenSigner] = {}
        self._linted: set[tuple[object, ...]] = set()

    def answer(self, authority_name: str, request_der: bytes) -> bytes:
        """Answer one `TimeStampReq` with a `TimeStampResp`; whatever goes wrong is an answer too.

        Raises:
            UnknownAuthorityError: no such authority here, or it makes no timestamps.
        """
        authority = self._authorities.get(authority_name)
        if not self._delegates.serves(authority):
            raise UnknownAuthorityError(authority_name)
        try:
            answer = self._granted(authority, request_der)
        except RequestRefused as exc:
            failure = exc.failure
        except (ClockJumpedError, ClockNotKeptError) as exc:
            log.warning("no timestamp: the clock", extra={"authority": authority_name, "why": str(exc)})
            failure = Failure.TIME_NOT_AVAILABLE
        except (TokenError, CaError, ServiceError) as exc:
            log.warning("no timestamp possible", extra={"authority": authority_name, "why": str(exc)})
            failure = Failure.SYSTEM_FAILURE
        else:
            _granted(authority_name).inc()
            return answer
        _answers.labels(authority_name, failure.name.lower()).inc()
        return refusal(failure)

    def check(self) -> None:
        """Readiness of the clock, when any authority makes timestamps.

        Raises:
            ClockJumpedError, ClockNotKeptError
        """
        if any(self._delegates.serves(authority) for authority in self._authorities.everyone()):
            self._clock.check()

    def _granted(self, authority: Authority, request_der: bytes) -> bytes:
        request = usual_request(request_der) or load_request(request_der)
        policies = authority.profile(PROFILE).policies
        if not policies or (request.policy_der and request.policy_der != oid(policies[0])):
            raise RequestRefused(Failure.UNACCEPTED_POLICY)
        at = self._time()
        delegate = self._delegates.current(authority)
        if delegate is None:
            raise RequestRefused(Failure.SYSTEM_FAILURE)
        signer = self._signer_of(authority, delegate)
        info = timestamp_info(
            request,
            policy=policies[0],
            serial=random_serial(),
            at=at,
            accuracy=self._accuracy,
            ordering=self._ordering,
        )
        attributes = attributes_about(info, signer)
        signature = sign(self._signer.key(delegate.key_label), attributes)
        with_certificate = request.wants_certificate
        answer = granted_token(info, attributes, signature, signer, with_certificate=with_certificate)
        # The first token of each shape is read back whole; of the others, what could still be wrong.
        shape = shape_of(request, info, attributes, signature, signer)
        if shape in self._linted:
            check_signature(attributes, signature, signer)
        else:
            token_der = token(info, attributes, signature, signer, with_certificate=with_certificate)
            check_token(token_der, info, attributes, signature, signer)
            if answer != granted(token_der):
                raise LintError([fault("timestamp-answer")])
            if len(self._linted) >= SHAPES_MAX:
                self._linted.clear()
            self._linted.add(shape)
        return answer

    def _time(self) -> datetime:
        """The time of a token; with ordering, later than that of every token before.

        Raises:
            ClockJumpedError: the clock was set back, and not by so little that the accuracy covers it.
        """
        if not self._ordering:
            return self._clock.now()
        with self._lock:
            at = self._clock.now()
            if self._last is not None and at <= self._last:
                if self._last - at > self._accuracy:
                    raise ClockJumpedError((at - self._last).total_seconds())
                at = self._last + timedelta(microseconds=1)
            self._last = at
            return at

    def _signer_of(self, authority: Authority, delegate: Delegate) -> TokenSigner:
        found = self._signers.get(delegate.key_label)
        if found is None:
            above = [each for each in self._authorities.chain(authority) if not each.is_root]
            chain = tuple(each.certificate_der for each in above)
            found = TokenSigner.of(delegate.certificate_der, delegate.public_key, chain)
            self._signers[delegate.key_label] = found
        return found
