"""A Singer tap: lists of the shop as SCHEMA, RECORD and STATE messages."""
