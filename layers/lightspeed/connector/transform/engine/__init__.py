"""JSONata evaluated inside limits of time, depth and size. Nothing else imports jsonata."""
