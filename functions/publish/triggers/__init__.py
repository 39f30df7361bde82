"""What starts a publish: HTTP, a queue message, a file."""
