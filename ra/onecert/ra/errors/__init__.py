"""What the registration authority refuses and what it could not do, each with a stable code and a next step.

What the CA answers, or fails to answer, is in `onecert.ra.ca.errors`.
"""

from onecert.ra.errors.applications import (
    AuthorityUnknownError,
    CaseInvalidError,
    ContentChangedError,
    DuplicateError,
    FollowRefusedError,
    InvalidApplicationError,
    KeyRepeatedError,
    ProfileMissingError,
    ReasonMissingError,
    RequestKeyReusedError,
    StaleFormError,
    WrongStateError,
)
from onecert.ra.errors.base import (
    BodyError,
    FieldFault,
    NotFoundError,
    RaError,
    SealedDataError,
    SearchByPostError,
    TokenNotReadyError,
)
from onecert.ra.errors.batches import BatchFileError, BatchRefusedError
from onecert.ra.errors.delivery import (
    BrowserKeyRefusedError,
    CodeRefusedError,
    CounterCodeError,
    MediumRefusedError,
    RecipientInvalidError,
    TooManyTriesError,
)
from onecert.ra.errors.evidence import EvidenceDamagedError, EvidenceMissingError, EvidenceRefusedError
from onecert.ra.errors.organisation import (
    CertificateRequiredError,
    EnrolmentClosedError,
    EnrolmentInvalidError,
    OrganisationInvalidError,
    OutOfReachError,
    PointClosedError,
    PointNeededError,
    PointUnknownError,
    ScopeInvalidError,
)
from onecert.ra.errors.papers import FontMissingError, PaperRefusedError
from onecert.ra.errors.review import (
    FilingInvalidError,
    NothingToReviewError,
    ObjectionsError,
    ReturnReasonError,
    UnlockLimitError,
)
from onecert.ra.errors.revocations import RevocationReasonError, RevocationRefusedError

__all__ = [
    "AuthorityUnknownError",
    "BatchFileError",
    "BatchRefusedError",
    "BodyError",
    "BrowserKeyRefusedError",
    "CaseInvalidError",
    "CertificateRequiredError",
    "CodeRefusedError",
    "ContentChangedError",
    "CounterCodeError",
    "DuplicateError",
    "EnrolmentClosedError",
    "EnrolmentInvalidError",
    "EvidenceDamagedError",
    "EvidenceMissingError",
    "EvidenceRefusedError",
    "FieldFault",
    "FilingInvalidError",
    "FollowRefusedError",
    "FontMissingError",
    "InvalidApplicationError",
    "KeyRepeatedError",
    "MediumRefusedError",
    "NotFoundError",
    "NothingToReviewError",
    "ObjectionsError",
    "OrganisationInvalidError",
    "OutOfReachError",
    "PaperRefusedError",
    "PointClosedError",
    "PointNeededError",
    "PointUnknownError",
    "ProfileMissingError",
    "RaError",
    "ReasonMissingError",
    "RecipientInvalidError",
    "RequestKeyReusedError",
    "ReturnReasonError",
    "RevocationReasonError",
    "RevocationRefusedError",
    "ScopeInvalidError",
    "SealedDataError",
    "SearchByPostError",
    "StaleFormError",
    "TokenNotReadyError",
    "TooManyTriesError",
    "UnlockLimitError",
    "WrongStateError",
]
