"""Matching supplier items to the catalogue; the one way in is `matcher.match`.

Belongs here: modules of this package. Does not belong here: reading lists or keeping decisions.
"""
