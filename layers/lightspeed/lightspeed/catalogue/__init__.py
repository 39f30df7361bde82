"""The endpoints of the shop's API as data, and the model that gives the rows behaviour."""
