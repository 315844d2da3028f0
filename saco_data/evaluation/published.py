"""Published rows of the SA-Co/Silver table, for comparison; facts, with their source."""

from __future__ import annotations

SOURCE = "Results table of scripts/eval/silver/README.md, github.com/facebookresearch/sam3"

# The order of the subsets in that table, and their titles there.
COLUMNS = {
    "bdd100k": "BDD100k",
    "droid": "Droids",
    "ego4d": "Ego4d",
    "food_rec": "Food Rec",
    "geode": "Geode",
    "inaturalist": "iNaturalist",
    "nga": "Nga Art",
    "sav": "SAV",
    "yt1b": "YT1B",
    "fathomnet": "Fathomnet",
}

# cgF1, IL_MCC, pmF1: the average, then each subset in the order of COLUMNS.
_ROWS = {
    "gDino-T": """3.09 0.12 19.75  3.33 0.17 19.54  4.26 0.15 28.38  2.87 0.1 28.72
        0.69 0.05 13.88  9.61 0.24 40.03  0 0 1.97  1.31 0.09 14.57  5.18 0.19 27.25
        3.6 0.16 22.5  0 0 0.64""",
    "OWLv2*": """11.23 0.32 31.18  14.97 0.46 32.34  10.84 0.36 30.1  7.36 0.23 31.99
        19.35 0.44 43.98  27.04 0.5 54.07  3.92 0.14 27.98  8.05 0.31 25.98
        10.59 0.32 33.1  10.15 0.38 26.7  0.04 0.01 5.57""",
    "OWLv2": """8.18 0.23 32.55  8.5 0.31 27.79  7.21 0.25 28.84  5.64 0.18 31.35
        14.18 0.32 44.32  13.04 0.28 46.58  3.62 0.1 36.23  7.22 0.25 28.88
        10.86 0.32 33.93  11.7 0.35 33.43  -0.14 -0.01 14.15""",
    "LLMDet-L": """6.73 0.17 28.19  1.69 0.08 19.97  2.56 0.1 25.59  2.39 0.08 29.92
        0.98 0.06 16.26  20.82 0.37 56.26  27.37 0.46 59.5  2.17 0.13 16.68
        5.37 0.19 28.26  3.73 0.16 23.32  0.24 0.04 6.1""",
    "Gemini 2.5": """9.67 0.19 45.51  5.83 0.19 30.66  5.61 0.14 40.07  0.38 0.01 38.14
        10.92 0.24 45.52  18.28 0.26 70.29  26.57 0.36 73.81  8.18 0.2 40.91
        9.48 0.22 43.1  8.66 0.23 37.65  2.8 0.08 34.99""",
    "SAM3": """49.57 0.76 65.17  46.61 0.78 60.13  45.58 0.76 60.35  38.64 0.62 62.56
        52.96 0.79 67.21  70.07 0.89 78.73  65.8 0.82 80.67  38.06 0.66 57.62
        44.36 0.67 66.05  42.07 0.72 58.36  51.53 0.86 59.98""",
}

Row = tuple[float, float, float]


def rows() -> dict[str, dict[str, Row]]:
    """cgF1, IL_MCC and pmF1 (cgF1 and pmF1 times 100) by model and subset; "" is the average."""
    found: dict[str, dict[str, Row]] = {}
    for model, text in _ROWS.items():
        numbers = [float(each) for each in text.split()]
        triples = [(numbers[at], numbers[at + 1], numbers[at + 2]) for at in range(0, 33, 3)]
        found[model] = dict(zip(("", *COLUMNS), triples, strict=True))
    return found
