"""Copying, joining, exporting and thinning out runs."""
