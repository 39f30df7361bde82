"""What tests of several suites share: clocks, fakes of AWS, and events."""
