"""Runs on object storage."""
