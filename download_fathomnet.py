"""The official name and flags: `python download_fathomnet.py --help`."""

from saco_data.cli.official import download_fathomnet

if __name__ == "__main__":
    download_fathomnet()
