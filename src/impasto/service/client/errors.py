"""What goes wrong between a client and the service."""

from impasto.errors import ImpastoError, UserError


class ServiceError(ImpastoError):
    """The service cannot be reached, or fails.

    Args:
        detail: The sentence.
        status: Of HTTP; 0 if there was no answer.
    """

    def __init__(self, detail: str, status: int = 0) -> None:
        super().__init__(detail)
        self.status = status


class RefusedError(ServiceError, UserError):
    """The service refuses the request; its sentence says why."""
