"""The official name and flags: `python download_inaturalist.py --help`."""

from saco_data.cli.official import download_inaturalist

if __name__ == "__main__":
    download_inaturalist()
