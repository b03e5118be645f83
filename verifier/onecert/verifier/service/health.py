"""What an operator watches: answers by verdict and code, age of the trust list, age of each revocation list.

``/metrics`` has it in the text format of Prometheus (version 0.0.4), ``/readyz`` says whether logins work.
"""

from __future__ import annotations

from collections import Counter
from datetime import datetime
from threading import Lock

from onecert.verifier.errors import VerifyError
from onecert.verifier.revocation import Crl
from onecert.verifier.verifier import Verifier

__all__ = ["Health"]

# Codes come from our own catalogue, so the number of series is bounded; this is for the unforeseen.
_SERIES_MAX = 2000


class Health:
    """Counts answers, and looks at the lists when asked. Safe to share between threads."""

    def __init__(self, verifier: Verifier) -> None:
        self._verifier = verifier
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
        return "\n".join(lines) + "\n"

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
