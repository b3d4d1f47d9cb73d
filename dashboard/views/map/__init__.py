"""The page Map: page.py draws it, charts.py and parts.py hold what it alone needs."""
