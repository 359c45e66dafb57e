"""The tables that a study left -> one page."""
