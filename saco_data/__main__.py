"""`python -m saco_data` is the command `saco`."""

from saco_data.cli.entry import run

if __name__ == "__main__":
    run()
