"""Webhooks as they are stored, how often they start runs, and how they arrived."""
