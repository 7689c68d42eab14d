"""``python -m common.core``: the same as the ``common`` command."""

import sys

from common.core.cli import main

if __name__ == "__main__":
    sys.exit(main(program="python -m common.core"))
