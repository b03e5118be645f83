"""Keeps ``bundle.zip`` fresh among the published files, for who takes it from a mirror or by hand."""

from __future__ import annotations

import logging
from datetime import datetime

from prometheus_client import Gauge

from onecert.server import metrics
from onecert.server.errors import ServiceError
from onecert.supervision.register_errors import BundlePolicyFileError
from onecert.supervision.service import Supervision

__all__ = ["BundleJob"]

log = logging.getLogger(__name__)

_made_at = Gauge(
    "onecert_bundle_made_timestamp_seconds", "When the published bundle was made", registry=metrics.registry
)
_failing = Gauge(
    "onecert_bundle_failing", "1 when the last attempt to make a bundle failed", registry=metrics.registry
)


class BundleJob:
    """Periodic work: a failure leaves the bundle of before, which says how old it is."""

    def __init__(self, supervision: Supervision) -> None:
        self._the = supervision

    def run(self, at: datetime) -> None:
        """Make a bundle. Missing revocation lists stop it: a department would find out only at the counter.

        Raises:
            ServiceError: it could not be made.
        """
        try:
            made, _ = self._the.bundles.make(policy=self._policy())
        except ServiceError as exc:
            _failing.set(1)
            log.warning("bundle not made", extra={"code": exc.code})
            raise
        _failing.set(0)
        _made_at.set(made.made_at.timestamp())

    def _policy(self) -> bytes | None:
        path = self._the.config.bundle_policy
        try:
            return None if path is None else path.read_bytes()
        except OSError as exc:
            raise BundlePolicyFileError(str(path), exc.strerror or "") from exc
