"""A model that only knows colours, over the demo: prepare, predict, evaluate, report.

Run `saco demo` first, then in its folder: python colours.py
"""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np

import saco_data as saco

COLOURS = {"red": (214, 39, 40), "green": (44, 160, 44), "blue": (31, 119, 180)}
saco.prepare(subsets="geode")
geode = saco.load()["geode"]
with saco.Predictions("geode.json") as out:  # appears whole or not at all
    for picture in geode.pictures():
        pixels = np.asarray(picture.image(), float)
        for item in picture.items:
            wanted = COLOURS.get(item.phrase.split()[1], (240, 200, 20))
            mask = np.abs(pixels - wanted).max(axis=2) < 60
            out.add(item, mask[None], [0.9]) if mask.sum() > 100 else out.nothing(item)
result = saco.evaluate("geode.json", geode)
print(result)
Path("geode.result.json").write_text(json.dumps(result.as_json(items=True)))
command = [sys.executable, "-m", "saco_data", "report", "--eval", "geode.result.json"]
subprocess.run(command, check=True)
