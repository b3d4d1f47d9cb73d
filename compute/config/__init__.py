"""Settings of a run, and the profiles that set them."""
