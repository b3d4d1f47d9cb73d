"""Copying, linking, exporting, pruning and describing runs."""
