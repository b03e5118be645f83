"""What an operator watches: answers by verdict and code, ages of all that verdicts rest on, the clock.

``/metrics`` has it in the text format of Prometheus (version 0.0.4), ``/readyz`` says whether logins work.
"""

from __future__ import annotations

from collections import Counter
from datetime import datetime, timedelta
from threading import Lock
from typing import Any

from onecert.verifier.errors import VerifyError
from onecert.verifier.fetch.clock import ClockWatch
from onecert.verifier.revocation import Crl
from onecert.verifier.service.ages import ages_of
from onecert.verifier.verifier import Verifier

__all__ = ["Health"]

# Codes come from our own catalogue, so the number of series is bounded; this is for the unforeseen.
_SERIES_MAX = 2000
_NONE = timedelta(0)
_FROM_FUTURE = frozenset({"TRUST_TIMESTAMP_FUTURE", "TRUST_LIST_FUTURE", "TRUST_ROOT_FUTURE", "BUNDLE_CLOCK"})


class Health:
    """Counts answers, and looks at the lists when asked. Safe to share between threads."""

    def __init__(self, verifier: Verifier, clocks: ClockWatch | None = None) -> None:
        self._verifier = verifier
        self._clocks = clocks
        self._lock = Lock()
        self._answers: Counter[tuple[str, str, str]] = Counter()

    def count(self, call: str, verdict: str, code: str = "") -> None:
        """One more answer."""
        with self._lock:
            key = (call, verdict, code)
            if key in self._answers or len(self._answers) < _SERIES_MAX:
                self._answers[key] += 1

    def metrics(self, at: datetime) -> str:
        """All figures, one line each."""
        with self._lock:
            answers = sorted(self._answers.items())
        lines = [
            "# HELP onecert_verifier_answers_total Answers by call, verdict and code.",
            "# TYPE onecert_verifier_answers_total counter",
        ]
        for (call, verdict, code), count in answers:
            labels = _labels(call=call, verdict=verdict, code=code)
            lines.append(f"onecert_verifier_answers_total{labels} {count}")
        lines += self._list_metrics(at)
        lines += self._clock_metrics(at)
        return "\n".join(lines) + "\n"

    def clock_behind(self, at: datetime) -> timedelta:
        """How far this machine's clock is behind, at least: nothing that is signed comes from the future.

        Unlike what servers say about the time, nobody on the way can have changed that. Of a clock that is
        ahead it tells nothing.
        """
        try:
            trust_list = self._verifier.trust_list(at)
            made = [
                trust_list.issued_at,
                *(crl.this_update for crl in self._verifier.evidence(at).all_crls()),
                *(age.issued_at for age in ages_of(self._verifier, at)),
            ]
        except VerifyError as exc:
            # So far behind that nothing is used any more: what was refused for its date tells how far.
            dated = exc.facts.get("issued_at", exc.facts.get("made_at")) if exc.code in _FROM_FUTURE else None
            made = [dated] if isinstance(dated, datetime) else []
        return max((_NONE, *(each - at for each in made)))

    def ready(self, at: datetime) -> dict[str, Any]:
        """What ``/readyz`` says.

        Raises:
            VerifyError: nobody can be let in now.
        """
        found: dict[str, Any] = {"status": "ready", "trust_list": self._verifier.trust_list(at).sequence}
        return found | {age.name: age.as_dict(at) for age in ages_of(self._verifier, at)}

    def _clock_metrics(self, at: datetime) -> list[str]:
        behind = self.clock_behind(at).total_seconds()
        about = "How far this clock is behind at least, by the newest signed list."
        lines = _gauge("clock_behind_seconds", about, [("", behind)])
        if self._clocks is None:
            return lines
        rows = sorted(self._clocks.skews().items())
        skews = [(_labels(server=server), skew.total_seconds()) for server, skew in rows]
        about = "How far a server's clock is ahead of this one at least, by its last answer; not signed."
        return lines + _gauge("clock_skew_seconds", about, skews)

    def _list_metrics(self, at: datetime) -> list[str]:
        try:
            trust_list = self._verifier.trust_list(at)
        except VerifyError:
            return _gauge("trust_list_usable", "Whether a trust list may be used now.", [("", 0.0)])
        lines = _gauge("trust_list_usable", "Whether a trust list may be used now.", [("", 1.0)])
        lines += _gauge("trust_list_sequence", "Its number.", [("", float(trust_list.sequence))])
        age = (at - trust_list.issued_at).total_seconds()
        lines += _gauge("trust_list_age_seconds", "Since it was issued.", [("", age)])
        left = (trust_list.next_update - at).total_seconds()
        lines += _gauge("trust_list_left_seconds", "Until it must be replaced.", [("", left)])
        for part in ages_of(self._verifier, at):
            age_s, left_s = (part_s.total_seconds() for part_s in (at - part.issued_at, part.ends_at - at))
            lines += _gauge(f"{part.name}_age_seconds", f"Since the {part.name} was made.", [("", age_s)])
            lines += _gauge(f"{part.name}_left_seconds", "Until it may not be used.", [("", left_s)])
        behind = getattr(self._verifier.registry, "is_behind", None)
        if behind is not None:
            about = "Whether the city has a newer snapshot of the register than the one in use."
            lines += _gauge("registry_behind", about, [("", float(behind))])
        newest: dict[str, Crl] = {}
        for crl in self._verifier.evidence(at).all_crls():
            known = newest.get(crl.issuer_text)
            if not crl.is_delta and (known is None or known.this_update < crl.this_update):
                newest[crl.issuer_text] = crl
        rows = sorted(newest.items())
        ages = [(_labels(issuer=name), (at - crl.this_update).total_seconds()) for name, crl in rows]
        lines += _gauge("crl_age_seconds", "Since the newest complete revocation list.", ages)
        ends = [
            (_labels(issuer=name), (crl.next_update - at).total_seconds())
            for name, crl in rows
            if crl.next_update is not None
        ]
        return lines + _gauge("crl_left_seconds", "Until its next_update.", ends)


def _gauge(name: str, about: str, values: list[tuple[str, float]]) -> list[str]:
    full = f"onecert_verifier_{name}"
    head = [f"# HELP {full} {about}", f"# TYPE {full} gauge"]
    return head + [f"{full}{labels} {value:g}" for labels, value in values]


def _labels(**labels: str) -> str:
    pairs = (f'{name}="{_escape(value)}"' for name, value in labels.items() if value)
    joined = ",".join(pairs)
    return f"{{{joined}}}" if joined else ""


def _escape(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
