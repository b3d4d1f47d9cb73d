"""`python -m compute [train | plan | table | analyse]`: the command line, and nothing but the command line."""

from __future__ import annotations

import sys

from compute.cli import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
