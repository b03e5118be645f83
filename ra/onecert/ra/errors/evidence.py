"""What is refused of a scan or photo, and what could not be read of one that is kept."""

from collections.abc import Sequence

from onecert.ra.errors.base import RaError
from onecert.server.languages import _

__all__ = ["EvidenceDamagedError", "EvidenceMissingError", "EvidenceRefusedError"]

_SCAN_AGAIN = _("Scan or photograph the paper again and save it as JPEG, PNG or PDF.")

_TEXTS = {
    "EVIDENCE_EMPTY": (
        _("The file is empty."),
        _("Choose the file again; look whether the scanner has finished."),
    ),
    "EVIDENCE_TOO_LARGE": (
        _("The file has %(size)s MB; at most %(limit)s MB are taken."),
        _("Scan with 300 dpi in JPEG; an A4 page then has about 1 MB."),
    ),
    "EVIDENCE_TYPE": (
        _("This is %(found)s; only JPEG, PNG and PDF are taken, whatever the file is called."),
        _SCAN_AGAIN,
    ),
    "EVIDENCE_BROKEN": (
        _("The file is cut off or damaged and cannot be read to its end."),
        _SCAN_AGAIN,
    ),
    "EVIDENCE_PIXELS": (
        _("The image has %(width)s × %(height)s pixels, more than this service opens (%(limit)s million)."),
        _("Scan with 300 dpi, or make the image smaller."),
    ),
    "EVIDENCE_TWO_TYPES": (
        _("The file is an image or PDF and contains another kind of file as well (%(found)s)."),
        _("Do not open it; scan or photograph the paper again."),
    ),
    "EVIDENCE_ACTIVE": (
        _("The PDF contains programs or further files (%(found)s)."),
        _("Print it as a plain PDF, or scan the paper."),
    ),
    "EVIDENCE_LOCKED": (
        _("The PDF is protected by a password, so nobody could review it."),
        _("Save it without protection, or scan the paper."),
    ),
    "EVIDENCE_MATERIAL": (
        _("This kind of material does not belong to this business."),
        _("Choose one of: %(known)s."),
    ),
    "EVIDENCE_NUMBER": (
        _("%(limit)s files are on record for it already; no more are taken."),
        _("Put several pages into one PDF, or remove what is not needed."),
    ),
    "EVIDENCE_TOTAL": (
        _("All files of it together would have more than %(limit)s MB."),
        _("Scan with 300 dpi, or remove what is not needed."),
    ),
    "EVIDENCE_KEPT": (
        _("What was submitted for review stays on record and cannot be removed."),
        _("It can be set aside while the application is being corrected."),
    ),
}


class EvidenceRefusedError(RaError):
    """A file that is not taken, or not given up. Nothing was kept, nothing was removed."""

    def __init__(self, code: str, **facts: object) -> None:
        text, hint = _TEXTS[code]
        status = {"EVIDENCE_TOO_LARGE": 413, "EVIDENCE_TYPE": 415}.get(code, 422)
        if code in {"EVIDENCE_NUMBER", "EVIDENCE_TOTAL", "EVIDENCE_KEPT"}:
            status = 409
        super().__init__(code, status=status, text=text, hint=hint, **facts)


class EvidenceMissingError(RaError):
    """The policy wants materials that are not there yet."""

    def __init__(self, materials: Sequence[str]) -> None:
        super().__init__(
            "EVIDENCE_MISSING",
            status=422,
            text=_("These materials are needed as a scan or photo before it is submitted: %(materials)s."),
            hint=_("Add them on the page of the application; everything entered is kept."),
            materials=materials,
        )


class EvidenceDamagedError(RaError):
    """Could not: the file of a record is gone, or is not what was put there."""

    def __init__(self, evidence_id: str, *, lost: bool) -> None:
        super().__init__(
            "EVIDENCE_LOST" if lost else "EVIDENCE_DAMAGED",
            status=503,
            text=_("The file of this evidence is missing.")
            if lost
            else _("The file of this evidence was changed after it was kept, and is not shown."),
            hint=_("Tell the operator of the service: a backup has it (evidence %(evidence)s)."),
            evidence=evidence_id,
        )
