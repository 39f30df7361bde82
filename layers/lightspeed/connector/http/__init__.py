"""The HTTP API: routes and scopes, calls, problems."""
