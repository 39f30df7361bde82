"""Creates, updates and deletes records of the shop."""
