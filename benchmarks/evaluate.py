"""cgF1: processor seconds and peak memory of `saco eval` and of the official algorithm.

    python benchmarks/evaluate.py                     # full size: about ten minutes, 2 GB of disk
    python benchmarks/evaluate.py --scale 0.02 --runs 1

Made data of the shapes of three subsets, masks of 720 x 1280. The yardstick is the official
algorithm written anew on pycocotools' own classes (index, loadRes and _prepare for each image-NP),
not the official code itself. Runs are interleaved; each is a process of its own, and processor
seconds (user + system) of the whole process with its children are what counts. Beside them stands
the limit of any tool that compares by pycocotools: one read of both files, and its IoU of what has
to be compared.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

HEIGHT, WIDTH = 720, 1280
POOL = 400


@dataclass(frozen=True)
class Shape:
    """Numbers of a subset: image-NPs, positives, masks, predictions; phrases of one picture."""

    image_nps: int
    positives: int
    masks: int
    predictions: int
    phrases: int
    wanted: tuple[float, float, float]  # times as fast checked, peak, times as fast unchecked


SHAPES = {
    "SA-V-like": Shape(20_000, 12_000, 30_000, 32_815, 2, (1.5, 0.9, 2.1)),
    "FathomNet-like": Shape(287_193, 7_000, 14_174, 19_127, 20, (5, 0.45, 7)),
    "iNaturalist-like": Shape(1_439_051, 46_000, 48_899, 66_051, 31, (8, 0.35, 10.5)),
}


# Ours without the check of the runs, as a function of the package.
UNCHECKED = """
import json, pathlib, sys
from saco_data.config.granted import processors
from saco_data.evaluation.files import Options, Task, evaluate_one

truth, found = map(pathlib.Path, sys.argv[1:])
how = Options(check=False, jobs=processors())
print(json.dumps(evaluate_one(Task("made", found, (truth,)), how).as_json()))
"""


def mask_pool(random: np.random.Generator) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    """Pairs of (annotated, predicted) entries: blobs with rough edges of about 3.5 kB."""
    from PIL import Image
    from pycocotools import mask as rle

    pool = []
    for _ in range(POOL):
        blob = random.random((3, 5))
        rough = random.random((60, 107)) * 0.055
        pair = []
        for shift in (0.0, random.random() * 0.1):
            smooth = Image.fromarray(((blob + shift) * 200).astype(np.uint8))
            noise = Image.fromarray((rough * 200).astype(np.uint8))
            size = (WIDTH, HEIGHT)
            field = np.asarray(smooth.resize(size, Image.Resampling.BICUBIC), float)
            field = field + np.asarray(noise.resize(size, Image.Resampling.BICUBIC), float)
            encoded = rle.encode(np.asfortranarray(field > 165, np.uint8))
            counts = encoded["counts"]
            assert isinstance(counts, bytes)
            box = rle.toBbox(encoded) / (WIDTH, HEIGHT, WIDTH, HEIGHT)
            pair.append(
                {
                    "segmentation": {"size": [HEIGHT, WIDTH], "counts": counts.decode()},
                    "bbox": [round(float(each), 5) for each in box],
                    "area": float(rle.area(encoded)) / (HEIGHT * WIDTH),
                }
            )
        pool.append((pair[0], pair[1]))
    return pool


def make(folder: Path, shape: Shape, scale: float) -> tuple[Path, Path]:
    """A ground truth and a prediction file of this shape."""
    random = np.random.default_rng(0)
    pool = mask_pool(random)
    image_nps, positives, masks, predictions = (
        max(1, round(scale * each))
        for each in (shape.image_nps, shape.positives, shape.masks, shape.predictions)
    )
    chosen = random.permutation(image_nps)[:positives]
    of_mask = np.concatenate([chosen, random.choice(chosen, max(0, masks - positives))])[:masks]
    kinds = random.integers(0, POOL, len(of_mask))
    truth, found = folder / "truth.json", folder / "found.json"
    with truth.open("w") as file:
        file.write('{"images": ')
        _write_list(file, (_image(at, shape.phrases) for at in range(image_nps)))
        file.write(', "annotations": ')
        entries = (
            {"id": at + 1, "image_id": int(i) + 10, "category_id": 1, "iscrowd": 0, **pool[k][0]}
            for at, (i, k) in enumerate(zip(of_mask, kinds, strict=True))
        )
        _write_list(file, entries)
        file.write(', "categories": [{"id": 1, "name": "object"}]}')
    # Nine of ten masks are found; the rest are false positives, many of them on negatives.
    order = random.permutation(len(of_mask))[: round(0.9 * predictions)]
    extra = random.integers(0, image_nps, predictions - len(order))
    where = [(int(of_mask[at]), int(kinds[at])) for at in order]
    more = random.integers(0, POOL, len(extra))
    where += [(int(i), int(k)) for i, k in zip(extra, more, strict=True)]
    scores = random.uniform(0.3, 1, len(where))
    with found.open("w") as file:
        rows = (
            {"image_id": i + 10, "category_id": 1, "score": round(float(s), 5), **pool[k][1]}
            for (i, k), s in zip(where, scores, strict=True)
        )
        _write_list(file, rows)
    return truth, found


def _image(at: int, phrases: int) -> dict[str, Any]:
    return {
        "id": at + 10,
        "file_name": f"folder_{at // phrases // 100:05}/picture_{at // phrases:08}.jpg",
        "text_input": f"the phrase number {at % 1000}",
        "height": HEIGHT,
        "width": WIDTH,
        "queried_category": str(at % 5000),
        "is_instance_exhaustive": 1,
        "is_pixel_exhaustive": 1,
    }


def _write_list(file: Any, entries: Iterator[dict[str, Any]]) -> None:
    file.write("[")
    for at, each in enumerate(entries):
        file.write((", " if at else "") + json.dumps(each))
    file.write("]")


def official_algorithm(truth: Path, found: Path) -> None:
    """The official algorithm, written anew: prints the sums that cgF1 is made of."""
    import contextlib
    import copy
    from collections import defaultdict

    from pycocotools import mask as rle
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval
    from scipy.optimize import linear_sum_assignment

    thresholds = np.linspace(0.5, 0.95, 10)
    with contextlib.redirect_stdout(sys.stderr):
        coco: Any = COCO(str(truth))  # Any: SA-Co's fields and pycocotools' private methods
    evaluator: Any = COCOeval(coco, iouType="segm")
    evaluator.params.useCats = False
    by_image = defaultdict(list)
    for each in json.loads(found.read_text()):
        by_image[each["image_id"]].append(each)
    results = []  # of each image-NP, as the official evaluator keeps them
    for image in coco.dataset["images"]:
        if not image["is_instance_exhaustive"]:
            continue
        with Path(os.devnull).open("w") as hole, contextlib.redirect_stdout(hole):
            # As loadRes, but with this image alone: all of them would be copied each time.
            mine: Any = COCO()
            mine.dataset = {
                "images": [image],
                "categories": copy.deepcopy(coco.dataset["categories"]),
                "annotations": [
                    {**each, "id": number, "iscrowd": 0, "area": each["bbox"][2] * each["bbox"][3]}
                    for number, each in enumerate(by_image[image["id"]], 1)
                ],
            }
            mine.createIndex()
            evaluator.cocoDt = mine
        evaluator.params.imgIds = list(np.unique([image["id"]]))
        evaluator._prepare()
        categories = evaluator.params.catIds
        gts = [g for c in categories for g in evaluator._gts[image["id"], c]]
        dts = [d for c in categories for d in evaluator._dts[image["id"], c]]
        ious: Any = np.zeros((len(dts), len(gts)))
        if dts and gts:
            crowd = [int(g["iscrowd"]) for g in gts]
            masks = [[each["segmentation"] for each in group] for group in (dts, gts)]
            ious = rle.iou(masks[0], masks[1], crowd)
        kept = np.array([d["score"] >= 0.5 for d in dts], bool)
        real = np.array([not g["ignore"] for g in gts], bool)
        ious = ious[kept][:, real]
        n, m = int(real.sum()), int(kept.sum())
        il = [n > 0 and m > 0, n == 0 and m > 0, not n and not m, n > 0 and m == 0]
        result = {"image_id": image["id"], "il": il, "predicted": m}
        if n or m:
            rows, columns = linear_sum_assignment(-ious)
            scores = ious[rows, columns]
            hits: list[Any] = []
            wrong: list[Any] = []
            missed: list[Any] = []
            perfect: list[int] = []
            for threshold in thresholds:
                count = (scores >= threshold).sum()
                hits.append(count)
                wrong.append(m - count)
                missed.append(n - count)
                perfect.append(int(count == m == n))
            tp, fp, fn = (np.array(each, np.int64) for each in (hits, wrong, missed))
            result |= {"masks": np.array([tp, fp, fn]), "perfect": np.array(perfect)}
            precision, recall = tp / (m + 1e-4), tp / (n + 1e-4)
            result |= {"f1": 2 * precision * recall / (precision + recall + 1e-4)}
        results.append(np.asarray([result]).reshape(1, 1, 1))
    il_sum, masks_sum, f1_sum = np.zeros(4, int), np.zeros((3, 10), int), np.zeros(10)
    for result in np.concatenate(results, axis=2).flatten():
        il_sum += result["il"]
        if "masks" in result:
            masks_sum += result["masks"]
            f1_sum += result["f1"]
    sums = {"il": il_sum, "masks": masks_sum, "f1": f1_sum}
    print(json.dumps({name: each.tolist() for name, each in sums.items()}))


def least(truth: Path, found: Path) -> None:
    """Prints the processor seconds of one read of both files, and of pycocotools' IoU alone."""
    import msgspec
    from pycocotools import mask as rle

    begun = time.process_time()
    annotated, predicted = (msgspec.json.decode(each.read_bytes()) for each in (truth, found))
    read = time.process_time() - begun
    groups: dict[int, tuple[list[Any], list[Any]]] = {}
    for each in predicted:
        if each["score"] >= 0.5:
            groups.setdefault(each["image_id"], ([], []))[0].append(each["segmentation"])
    for each in annotated["annotations"]:
        if each["image_id"] in groups:
            groups[each["image_id"]][1].append(each["segmentation"])
    pairs = [pair for pair in groups.values() if pair[1]]
    begun = time.process_time()
    for mine, theirs in pairs:
        rle.iou(mine, theirs, [0] * len(theirs))
    print(json.dumps([read, time.process_time() - begun]))


@dataclass(frozen=True)
class Run:
    """What a process took, and what it printed."""

    cpu: float
    wall: float
    peak: float
    output: str


def run(command: Sequence[str], cache: Path) -> Run:
    """Runs a command and measures it."""
    with tempfile.TemporaryFile() as output:
        start = time.perf_counter()
        process = subprocess.Popen(
            command, stdout=output, env={**os.environ, "XDG_CACHE_HOME": str(cache)}
        )
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.perf_counter() - start
        assert status == 0, command
        output.seek(0)
        text = output.read().decode()
    cpu = usage.ru_utime + usage.ru_stime
    return Run(cpu, wall, usage.ru_maxrss / 1024, text)


def measure(name: str, shape: Shape, scale: float, runs: int) -> None:
    """Prints the table of one shape."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        cache = folder / "cache"
        truth, found = make(folder, shape, scale)
        size = (truth.stat().st_size + found.stat().st_size) / 1e6
        saco = str(Path(sys.executable).with_name("saco"))
        ours = [saco, "eval", str(found), "--gt", str(truth), "--json"]
        this = [sys.executable, __file__]
        commands = {
            "official algorithm": [*this, "--official", str(truth), str(found)],
            "ours, checked": ours,
            "ours, second run": ours,
            "ours, unchecked": [sys.executable, "-c", UNCHECKED, str(truth), str(found)],
            "limit": [*this, "--limit", str(truth), str(found)],
        }
        time.sleep(2.5)  # files that were just written are not remembered
        run(ours, cache)  # the ground truth is checked once for all
        took: dict[str, list[Run]] = {each: [] for each in commands}
        for _ in range(runs):
            for each, command in commands.items():
                if each in ("ours, checked", "ours, unchecked"):
                    shutil.rmtree(cache / "saco-data" / "evaluate" / "results")
                took[each].append(run(command, cache))
    limits = [json.loads(each.output) for each in took.pop("limit")]
    _compare_outputs(took)
    print(f"\n{name}: {size:.0f} MB, {scale:g} of {shape.image_nps:,} image-NPs; median of {runs}")
    print("|  | processor s | ratio | wall s | peak MB | ratio |\n|---|--:|--:|--:|--:|--:|")
    cpu = {each: statistics.median(r.cpu for r in rows) for each, rows in took.items()}
    peak = {each: statistics.median(r.peak for r in rows) for each, rows in took.items()}
    first = "official algorithm"
    for each, rows in took.items():
        wall = statistics.median(r.wall for r in rows)
        print(
            f"| {each} | {cpu[each]:.2f} | {cpu[first] / cpu[each]:.2f} "
            f"| {wall:.2f} | {peak[each]:.0f} | {peak[each] / peak[first]:.2f} |"
        )
    read, iou = (statistics.median(each) for each in zip(*limits, strict=True))
    over = cpu["ours, unchecked"] / (read + iou)
    print(
        f"limit: {read:.2f} s to read both files, {iou:.2f} s of IoU; unchecked is {over:.2f} times"
    )
    print(f"wanted: checked {shape.wanted[0]}, peak {shape.wanted[1]}, unchecked {shape.wanted[2]}")


def _compare_outputs(took: dict[str, list[Run]]) -> None:
    sums = json.loads(took["official algorithm"][0].output)
    made = json.loads(took["ours, checked"][0].output)["subsets"].popitem()[1]["counts"]
    assert sums["il"] == made["il"], (sums["il"], made["il"])
    assert sums["masks"] == [made["tp"], made["fp"], made["fn"]], (sums["masks"], made)


def main() -> None:
    """Measures all three shapes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scale", type=float, default=1.0, help="part of the full size")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--only", choices=SHAPES, help="one of the shapes")
    parser.add_argument("--official", nargs=2, type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--limit", nargs=2, type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.official:
        official_algorithm(*given.official)
    elif given.limit:
        least(*given.limit)
    else:
        for name, shape in SHAPES.items():
            if given.only in (None, name):
                measure(name, shape, given.scale, given.runs)


if __name__ == "__main__":
    main()
