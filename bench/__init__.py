"""What is measured and compared: `make bench`, `make experiment`, `python -m bench findings`."""
