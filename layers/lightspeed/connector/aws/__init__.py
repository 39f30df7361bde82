"""AWS as the bundle uses it: the bucket, conditional writes, executions, and errors that may pass."""
