"""Word lists (TOML) that the coffee parsers read: data only, no code.

Each word is written in lower case without accents; a blank in a term also matches a hyphen
or nothing ("pour over" finds "pour-over" and "pourover"). `lexicon` loads and compiles them.
"""
