"""Checking a run: every byte, every dataset, every identity between them."""
