"""The official name and flags: `python preprocess_silver_geode_bdd100k_food_rec.py --help`."""

from saco_data.cli.official import preprocess

if __name__ == "__main__":
    preprocess()
