"""The command `tracseq`, also as `python -m services`."""

import sys

from services.cli.app import make


def main() -> None:
    """Run the command line; the process ends with its exit code."""
    make(sys.argv[1:])()


if __name__ == "__main__":
    main()
