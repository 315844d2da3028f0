"""`python -m saco_data` is the command `saco`."""

from saco_data.cli.main import main

if __name__ == "__main__":
    main()
