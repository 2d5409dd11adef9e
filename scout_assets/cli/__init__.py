"""The command line; `app` is the way in."""
