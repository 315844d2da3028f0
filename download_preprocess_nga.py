"""The official name and flags: `python download_preprocess_nga.py --help`."""

from saco_data.cli.official import download_nga

if __name__ == "__main__":
    download_nga()
