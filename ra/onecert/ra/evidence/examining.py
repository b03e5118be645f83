"""What `onecert doctor` and the drill of a backup ask about evidence: is each file where its record says?"""

from collections.abc import Iterator

from onecert.ra.config import RaConfig
from onecert.ra.evidence.files import Files
from onecert.ra.evidence.keeping import EvidenceKeeping
from onecert.ra.vault.keys import Keys
from onecert.server.doctor.finding import Finding, sound
from onecert.server.languages import gettext
from onecert.server.members import Context

__all__ = ["evidence_faults", "examine_evidence", "files_of"]

_NAMED = 20
_OPENED = 25


def files_of(context: Context) -> Files:
    """The folder of evidence of an installation."""
    return Files(context.data / "evidence")


def examine_evidence(_config: RaConfig, context: Context) -> Iterator[Finding]:
    """For the doctor: every record has its files. Changes nothing, and needs no token."""
    keeping = EvidenceKeeping(context.database, files_of(context), None)
    missing = [found for _number, found in zip(range(_NAMED), keeping.missing(), strict=False)]
    if not missing:
        yield sound("ra", "evidence")
    for found in missing:
        yield Finding(
            place="ra",
            subject="evidence",
            code=found.code,
            text=gettext(
                "the file of evidence %(evidence)s of record %(record)s is missing",
                evidence=found.evidence_id,
                record=found.record_id,
            ),
            hint=gettext("restore the folder ra/evidence from the newest backup that has it"),
        )


def evidence_faults(context: Context, keys: Keys) -> Iterator[str]:
    """For a drill: what is missing, and of the newest files what does not open to what was put there."""
    keeping = EvidenceKeeping(context.database, files_of(context), keys)
    for found in [*keeping.missing(), *keeping.damaged(newest=_OPENED)][:_NAMED]:
        yield f"evidence {found.evidence_id} [{found.code}]"
