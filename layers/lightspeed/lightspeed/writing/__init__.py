"""Support for writes: find a record by its natural key, show the changes, and judge a lost answer."""
