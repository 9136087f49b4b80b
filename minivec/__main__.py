"""`python -m minivec` is the command line."""

import sys

from minivec.cli import main

if __name__ == "__main__":
    sys.exit(main())
