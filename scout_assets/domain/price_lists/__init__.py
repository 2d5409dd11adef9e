"""Price lists of any supplier, from grids of cells to validated items.

Belongs here: finding sheets, headers, columns, sections and items. Does not belong here: file
formats (gateways `workbooks`), features inside texts (`specs`), matching.
"""
