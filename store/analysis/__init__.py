"""What a run says across its epochs: derived once by `python -m compute analyse RUN`, read by pages and queries."""
