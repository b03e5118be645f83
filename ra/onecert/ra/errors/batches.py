"""Files of many applications that cannot be read."""

from onecert.ra.errors.base import RaError
from onecert.server.languages import _

__all__ = ["ImportFileError"]


class ImportFileError(RaError):
    """The file of an import cannot be read; no row was entered."""

    def __init__(self, text: str, **facts: object) -> None:
        super().__init__(
            "IMPORT_FILE",
            status=422,
            text=text,
            hint=_("Nothing was entered. Compare the file with demo/applicants.csv."),
            **facts,
        )
