"""Runs the samples of every identity profile: a profile that fails its own samples is never signed."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from onecert.supervision.draft import Draft, DraftService, Sample
from onecert.supervision.errors import SampleError
from onecert.verifier.errors import VerifyError
from onecert.verifier.identity import PersonRule, identify
from onecert.verifier.trust_list import TrustedService, TrustList

__all__ = ["SampleResult", "check_samples", "run_samples"]


@dataclass(frozen=True)
class SampleResult:
    """What a profile makes of one sample. ``number`` counts from 1."""

    number: int
    sample: Sample
    expected: str
    found: str

    @property
    def is_right(self) -> bool:
        """The profile gives what was expected."""
        return self.found == self.expected


def check_samples(draft: Draft, trust_list: TrustList, *, at: datetime) -> None:
    """Resolve every sample with the profile that the list will have.

    Raises:
        SampleError: for the first sample that gives something else.
    """
    for service in draft.services:
        for result in run_samples(service, trust_list.by_id[service.id], at=at):
            if not result.is_right:
                raise SampleError(service.id, result.number, result.expected, result.found)


def run_samples(service: DraftService, listed: TrustedService, *, at: datetime) -> list[SampleResult]:
    """What the profile makes of each sample of a service.

    Ids of persons are compared without the pairwise key of any department: the sample names the number.
    """
    results = []
    for number, sample in enumerate(service.samples, start=1):
        expected = sample.refused or " ".join(filter(None, (sample.id, sample.holder_class)))
        found = _resolve(listed, sample, at)
        if not sample.refused and not sample.holder_class:
            found = found.split(" ", 1)[0]
        results.append(SampleResult(number, sample, expected, found))
    return results


def _resolve(service: TrustedService, sample: Sample, at: datetime) -> str:
    if service.identity_profile is None:
        return "CA_PROFILE_MISSING"
    persons = PersonRule(application="sample", pairwise_key=None, raw_numbers=True)
    try:
        identity = identify(
            sample.certificate_pem.encode("ascii"),
            service.identity_profile,
            ca_service=service.id,
            at=at,
            persons=persons,
        )
    except VerifyError as exc:
        return exc.code
    return f"{identity.id} {identity.holder_class}"
