"""An error as STS states it: status, code and message."""

from html import escape


class RefusalError(Exception):
    """STS says no. The fake raises it, and the rim writes it down as XML."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.status = status
        self.code = code
        self.message = message

    def xml(self, request_id: str) -> str:
        fault = "Sender" if self.status < 500 else "Receiver"
        return (
            '<ErrorResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/">'
            f"<Error><Type>{fault}</Type><Code>{escape(self.code)}</Code>"
            f"<Message>{escape(self.message)}</Message></Error>"
            f"<RequestId>{request_id}</RequestId></ErrorResponse>"
        )


def invalid(message: str) -> RefusalError:
    return RefusalError(400, "ValidationError", message)


def unmet(name: str, value: str, constraint: str) -> RefusalError:
    """Return the complaint about a value that breaks a constraint of the model."""
    return invalid(
        f"1 validation error detected: Value '{value}' at '{name}' failed to satisfy constraint: "
        f"Member must {constraint}"
    )
