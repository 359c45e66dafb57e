"""A trained network as files, checked, with its card."""
