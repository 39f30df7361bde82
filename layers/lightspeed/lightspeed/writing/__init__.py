"""Support for writes.

`natural_key` finds the record to write, by its fields and the forms of `stored_text`. `diff` shows the changes of a
write, and `dry_run` its request. `ambiguous` judges a write whose answer was lost.
"""
