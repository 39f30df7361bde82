"""The status of a stack: its subscriptions, shops and failure queues, as data and as a page."""
