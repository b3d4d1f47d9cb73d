"""The page Human test: page.py draws it."""
