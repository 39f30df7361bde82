"""The context that Lambda gives a handler."""

from dataclasses import dataclass


@dataclass
class Context:
    """The members of an invocation's context that handlers use.

    Attributes:
        seconds: The seconds that the invocation may still run. Tests may change them.
    """

    aws_request_id: str = "11111111-2222-3333-4444-555555555555"
    seconds: float = 900.0
    function_name: str = "subscribe"
    function_version: str = "$LATEST"
    memory_limit_in_mb: int = 1024

    @property
    def invoked_function_arn(self) -> str:
        """The function's ARN."""
        return f"arn:aws:lambda:eu-west-1:123456789012:function:{self.function_name}"

    def get_remaining_time_in_millis(self) -> int:
        """Return the milliseconds that the invocation may still run."""
        return int(self.seconds * 1000)
