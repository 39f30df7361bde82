"""Whether everything works: subscriptions, shops, failure queues; as data and as a page."""
