"""Read a whole list without missing a record, while the shop changes.

`reader` reads the pages of a list, and `proof` checks that they are the list. `split` reads an unstable list again in
parts. `window` and `opening` decide which records a list has. `children` reads the nested lists of many parents.
`whole_list` does all of this in one process; a run of the bundle does it in several.
"""
