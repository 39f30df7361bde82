"""Reads an entity of the shop and lands it in S3."""
