"""What people say about images: marks and notes, in one SQLite file beside the runs, never in a run."""
