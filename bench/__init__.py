"""Benchmarks, experiments and figures of documents: `make bench`, `make experiment`, `python -m bench findings`."""
