"""Batches: what cannot be accepted, and what is not known of one."""

from __future__ import annotations

from onecert.ca.errors.base import CaError
from onecert.server.languages import Message, _

__all__ = [
    "BatchAlteredError",
    "BatchClosedError",
    "BatchMalformedError",
    "BatchPartError",
    "UnknownBatchError",
]


class BatchMalformedError(CaError):
    """The head of a batch cannot be read, or asks for more than is allowed."""

    def __init__(self, field: str) -> None:
        super().__init__(
            "BATCH_MALFORMED",
            status=400,
            text=_("The batch cannot be read: “%(field)s” is missing, unknown or too much."),
            hint=_("Correct the head of the batch, sign it again and post it."),
            field=Message(field),
        )


class BatchPartError(CaError):
    """The lines of a part are not those that the signed head names."""

    def __init__(self, batch: str, part: int) -> None:
        super().__init__(
            "BATCH_PART",
            status=422,
            text=_("These are not the lines that the head of the batch %(batch)s names as part %(part)s."),
            hint=_("Send exactly the bytes whose SHA-256 and number of lines stand in the signed head."),
            batch=batch,
            part=part,
        )


class BatchAlteredError(CaError):
    """The number of this batch was used before, for something else."""

    def __init__(self, batch: str) -> None:
        super().__init__(
            "BATCH_ALTERED",
            status=409,
            text=_("The batch %(batch)s is already known with another content."),
            hint=_("Give the new batch a number of its own."),
            batch=batch,
        )


class BatchClosedError(CaError):
    """The batch was cancelled and takes no more lines."""

    def __init__(self, batch: str) -> None:
        super().__init__(
            "BATCH_CLOSED",
            status=409,
            text=_("The batch %(batch)s was cancelled."),
            hint=_("Order what is still wanted in a new batch; orders may keep their numbers."),
            batch=batch,
        )


class UnknownBatchError(CaError):
    """Nothing is known of this batch, or it belongs to another registration authority."""

    def __init__(self, batch: str) -> None:
        super().__init__(
            "BATCH_UNKNOWN",
            status=404,
            text=_("No batch %(batch)s is on record."),
            hint=_("Post the head of the batch."),
            batch=batch,
        )
