"""The bucket, conditional writes, executions of state machines, and errors of AWS."""
