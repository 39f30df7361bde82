"""Figures of the connector beside the tools that would be taken instead: `python -m tests.bench`.

Every contestant is a whole process that reads all orders of one simulated shop and lands them. The shop and the AWS
stand-in are processes of their own, so their CPU is not counted. Nothing here asserts a time.
"""
