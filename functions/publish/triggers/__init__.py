"""The triggers of publish: HTTP calls, queue messages and files."""
