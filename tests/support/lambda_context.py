"""What Lambda tells a handler of its invocation."""

from dataclasses import dataclass


@dataclass
class Context:
    """An invocation, as far as a handler looks at it.

    Attributes:
        seconds: How long it may still run; tests may change it.
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
        """Return how long it may still run, in milliseconds."""
        return int(self.seconds * 1000)
