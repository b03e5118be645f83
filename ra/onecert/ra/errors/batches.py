"""Files of many applications that cannot be read, and batches that cannot go on."""

from onecert.ra.errors.base import RaError
from onecert.server.languages import _

__all__ = ["BatchFileError", "BatchRefusedError"]


class BatchFileError(RaError):
    """The file cannot be taken at all; no row was entered."""

    def __init__(self, text: str, hint: str = "", **facts: object) -> None:
        super().__init__(
            "IMPORT_FILE",
            status=422,
            text=text,
            hint=hint or _("Nothing was entered. Compare the file with the template."),
            **facts,
        )


class BatchRefusedError(RaError):
    """A batch cannot take this step as it is; `code` says why."""

    def __init__(self, code: str, text: str, hint: str = "", **facts: object) -> None:
        super().__init__(code, status=409, text=text, hint=hint, **facts)
