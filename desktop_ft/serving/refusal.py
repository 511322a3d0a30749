"""Why a request gets no answer."""

from http import HTTPStatus

from desktop_ft.core.errors import UserError


class Refused(UserError):
    """A request that is not answered: what is wrong, what to do about it, and HTTP's number for that.

    Attributes:
        retry_after_s: when to ask again; None: asking again is of no use.
        allow: the method to take instead, where that is what is wrong.
        told: what the log says of it instead of `what`, where that may quote the client or its pictures; "": `what` does not.
    """

    def __init__(
        self,
        status: HTTPStatus,
        what: str,
        cure: str,
        *,
        told: str = "",
        retry_after_s: float | None = None,
        allow: str = "",
    ) -> None:
        super().__init__(what, cure)
        self.status = status
        self.told = told or what
        self.retry_after_s = retry_after_s
        self.allow = allow
