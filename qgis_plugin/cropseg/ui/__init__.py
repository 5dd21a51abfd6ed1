"""Windows: the first-run dialog, the options page and what they share."""
