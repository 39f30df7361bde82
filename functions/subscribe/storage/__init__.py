"""The objects of the bundle's bucket: keys, conditional writes, parts."""
