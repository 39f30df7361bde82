"""Make a stack read what `subscriptions.toml` says."""
