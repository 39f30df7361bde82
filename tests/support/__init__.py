"""Code of several test suites: the clock, the Lambda context, and fakes of AWS."""
