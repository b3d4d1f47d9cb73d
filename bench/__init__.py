"""Measurements against alternatives: `make bench`. Ratios from one run on one machine; never part of the tests."""
