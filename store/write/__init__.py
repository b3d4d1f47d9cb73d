"""Writing a run, epoch by epoch."""
