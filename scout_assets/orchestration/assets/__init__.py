"""The asset graph, a module per group or concern."""
