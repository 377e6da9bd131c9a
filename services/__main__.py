"""The command `tracseq`, also as `python -m services`."""

from services.cli.app import app


def main() -> None:
    """Run the command line; the process ends with its exit code."""
    app()


if __name__ == "__main__":
    main()
