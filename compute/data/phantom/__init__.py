"""The built-in image set, whose correct predictions are known."""
