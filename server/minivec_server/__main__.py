"""`python -m minivec_server`: the server with its settings from MINIVEC_... variables, and NIM_... ones it understands."""

from __future__ import annotations

import os
import sys

from minivec.errors import MinivecError
from minivec.settings import Settings
from minivec_server.nim.variables import with_nim_variables
from minivec_server.serve import run


def main() -> int:
    """The exit code: 0 after an orderly end, 2 when the server could not start."""
    try:
        return run(Settings.read(environment=with_nim_variables(os.environ)))
    except MinivecError as error:
        print(f"minivec: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
