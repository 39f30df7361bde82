"""Webhooks: their stored form, how often they start runs, and the reports of their arrival."""
