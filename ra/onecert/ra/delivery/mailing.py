"""A fetch code goes to the applicant's agent by mail: once for each code, written when the code is made.

The code stands in the mail and nowhere else: the notice is sealed until it is sent, its key names the code by
its id.
"""

from collections.abc import Mapping

from onecert.ra.delivery.codes import shown_code
from onecert.ra.delivery.handing import GivenCode
from onecert.ra.errors import SealedDataError, TokenNotReadyError
from onecert.ra.notices.errors import NoticeRefusedError
from onecert.ra.notices.facts import NoAddressError, address_of, shown_place
from onecert.ra.notices.sending import About, Notices
from onecert.ra.notices.texts import NoticeKind
from onecert.ra.notices.writing import check_address
from onecert.ra.operators.reach import Reach
from onecert.server.database import Database
from onecert.server.languages import CHINA_TIME
from onecert.server.operators import Operator

__all__ = ["CodeMails"]


class CodeMails:
    """Tells the agent where and with which code the certificate is fetched.

    `public_url` is where this service is reached; what a request says of its host does not go into a mail.
    """

    def __init__(self, *, database: Database, reach: Reach, notices: Notices, public_url: str) -> None:
        self._database = database
        self._reach = reach
        self._notices = notices
        self._public_url = public_url

    def find_address(self, operator: Operator, application_id: str) -> str | None:
        """Where a mail would go; None when there is no usable address, or the token cannot open it now."""
        try:
            return check_address(address_of(self._reach.frozen(operator, application_id)))
        except (NoAddressError, NoticeRefusedError, TokenNotReadyError, SealedDataError):
            return None

    def send(self, to: str, given: GivenCode) -> bool:
        """Put the mail on record; False when this code has one already.

        Raises:
            NoticeRefusedError: a fact that must not stand in a mail. TokenNotReadyError: nothing is sent.
        """
        application = given.application
        with self._database.reading() as connection:
            place = shown_place(connection, application.point)
        facts: Mapping[str, str] = {
            "name": application.name,
            "number": application.number,
            "page": f"{self._public_url}/fetch/{application.number}",
            "code": shown_code(given.code),
            "until": f"{given.until.astimezone(CHINA_TIME):%Y-%m-%d %H:%M}",
            "place": place,
        }
        about = About(
            subject=f"application:{application.id}",
            name=application.name,
            point=application.point,
            authority=application.authority,
            kind=application.kind.value,
        )
        key = f"ready:{given.code_id}"
        return self._notices.send(NoticeKind.READY, to, facts, key, about=about)
