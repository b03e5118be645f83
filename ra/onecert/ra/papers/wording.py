"""The longer texts on papers."""

from onecert.server.languages import _

__all__ = ["DECLARATION", "FETCHING", "PIN_RULES", "RECEIVED", "TWO_COPIES"]

DECLARATION = _(
    "Everything stated here is true and complete, and the papers handed in are genuine. The applicant keeps"
    " the key, and tells the certification authority at once when it is lost or when anything stated here"
    " changes. The applicant has read the subscriber agreement and the consent to the use of personal data"
    " and agrees to both."
)
TWO_COPIES = _(
    "Two copies. With more than one page, put the seal across the edges of all pages. Content hash: %(hash)s"
)
FETCHING = _(
    "As a rule within %(days)s working days. We tell you at the number that you left; then bring this"
    " receipt and the agent's or applicant's identity card."
)
RECEIVED = _(
    "I have received the above. The certificate's content is right. I change the PIN before the first use,"
    " and give key and PIN to nobody."
)
PIN_RULES = _(
    "Change this PIN before the first use, then destroy this letter. Nobody else knows it, and it is kept"
    " nowhere: a forgotten or blocked PIN is unlocked at an acceptance point. Our staff never ask for it."
)
