"""The official scripts with their official names, flags and config."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from saco_data.catalog.registry import builtin
from saco_data.cli import official
from saco_data.cli.prune_in_place import prune_in_place
from saco_data.config.settings import Settings
from saco_data.config.settings import load as load_config
from saco_data.engine.sync import sync
from saco_data.sandbox.fathomnet import FathomNet
from saco_data.sandbox.http_server import FileServer
from saco_data.sandbox.miniature import serve
from saco_data.sandbox.packing import pack_tar
from tests.conftest import ROOT
from tests.helpers.executor import InlineExecutor
from tests.helpers.folders import tree, write_files
from tests.helpers.miniatures import build_one, copied_products
from tests.helpers.pipeline import Notes


def script(name: str, *arguments: str | Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(ROOT / name), *map(str, arguments)],
        cwd=cwd,
        env={**os.environ},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def official_config(folder: Path, **keys: object) -> None:
    content = {
        "path_annotations": str(folder / "annotations"),
        **{f"{name}_path": str(folder / name) for name in ("droid", "sav", "ego4d", "yt1b")},
        "cookies_path": None,
        "update_annotation_yt1b": True,
        "update_annotation_ego4d": True,
        "sav_videos_fps_6_download_path": "",
        **{f"remove_downloaded_videos_{name}": False for name in ("yt1b", "droid", "ego4d", "sav")},
        "num_images_show": 5,
        "saco_subset_show": "yt1b",
        "directory_save": str(folder / "tmp"),
        **keys,
    }
    (folder / "CONFIG_FRAMES.yaml").write_text(yaml.safe_dump(content))


def annotation(folder: Path, name: str, suffix: str = "") -> Path:
    return (
        folder
        / "annotations"
        / builtin().find(name).annotations.file.replace(".json", f"{suffix}.json")
    )


def test_sav_has_the_files_of_the_official_scripts(tmp_path: Path) -> None:
    subset = build_one(tmp_path, "sav")
    pristine = annotation(tmp_path, "sav").read_bytes()
    with FileServer({"/videos_fps_6.tar": pack_tar(subset.raw)}) as server:
        official_config(
            tmp_path, sav_videos_fps_6_download_path=f"{server.url}/videos_fps_6.tar?sig=x"
        )
        done = script("download_videos.py", "sav", cwd=tmp_path)
        assert done.returncode == 0, done.stderr
    for name in subset.raw:
        assert (tmp_path / "sav" / "downloaded_videos" / name).is_file()
    done = script("extract_frames.py", "sav", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    lost = Path(subset.missing[0]).name
    frames = {e.file_name for e in subset.entries if e.video != lost}
    assert set(tree(tmp_path / "sav" / "frames")) == frames
    assert annotation(tmp_path, "sav", "_original").read_bytes() == pristine
    kept = json.loads(annotation(tmp_path, "sav").read_text())["images"]
    assert {pair["file_name"] for pair in kept} == frames
    # The second run changes nothing.
    assert script("extract_frames.py", "sav", cwd=tmp_path).returncode == 0
    assert annotation(tmp_path, "sav", "_original").read_bytes() == pristine


def test_a_file_that_returns_is_restored_in_place(tmp_path: Path) -> None:
    subset = build_one(tmp_path, "sav")
    pristine = annotation(tmp_path, "sav").read_bytes()
    (tmp_path / "v.tar").write_bytes(pack_tar(subset.raw))
    official_config(tmp_path, sav_videos_fps_6_download_path=str(tmp_path / "v.tar"))
    for _ in range(2):
        script("extract_frames.py", "sav", cwd=tmp_path)
    assert annotation(tmp_path, "sav").read_bytes() != pristine
    subset.raw[subset.missing[0]] = next(iter(subset.raw.values()))
    (tmp_path / "v.tar").write_bytes(pack_tar(subset.raw))
    assert script("extract_frames.py", "sav", cwd=tmp_path).returncode == 0
    assert annotation(tmp_path, "sav").read_bytes() == pristine


def test_an_expired_link_prunes_nothing_and_exits_4(tmp_path: Path) -> None:
    from saco_data.sandbox.http_server import Fault, Faults

    subset = build_one(tmp_path, "sav")
    pristine = annotation(tmp_path, "sav").read_bytes()
    faults = Faults(kinds=(Fault.EXPIRED,), probability=1)
    with FileServer({"/videos_fps_6.tar": pack_tar(subset.raw)}, faults=faults) as server:
        official_config(
            tmp_path, sav_videos_fps_6_download_path=f"{server.url}/videos_fps_6.tar?Signature=x"
        )
        done = script("download_videos.py", "sav", cwd=tmp_path)
    assert done.returncode == 4, done.stderr
    assert "links file" in done.stderr
    assert "Signature" not in done.stderr
    done = script("extract_frames.py", "sav", cwd=tmp_path)
    assert annotation(tmp_path, "sav").read_bytes() == pristine
    assert not annotation(tmp_path, "sav", "_original").exists()


def test_an_unknown_annotation_file_is_not_overwritten(tmp_path: Path) -> None:
    subset = build_one(tmp_path, "sav")
    (tmp_path / "v.tar").write_bytes(pack_tar(subset.raw))
    official_config(tmp_path, sav_videos_fps_6_download_path=str(tmp_path / "v.tar"))
    script("extract_frames.py", "sav", cwd=tmp_path)
    new = annotation(tmp_path, "sav", "_original").read_bytes() + b"\n"
    annotation(tmp_path, "sav").write_bytes(new)
    done = script("extract_frames.py", "sav", cwd=tmp_path)
    assert done.returncode == 4 and "is neither" in done.stderr
    assert annotation(tmp_path, "sav").read_bytes() == new


def test_a_kill_while_pruning_in_place_is_repaired(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    subset = build_one(tmp_path, "sav")
    pristine = annotation(tmp_path, "sav").read_bytes()
    (tmp_path / "v.tar").write_bytes(pack_tar(subset.raw))
    official_config(tmp_path, sav_videos_fps_6_download_path=str(tmp_path / "v.tar"))
    settings = load_config(tmp_path / "CONFIG_FRAMES.yaml")

    def killed(*_: object) -> bool:
        raise KeyboardInterrupt

    for number in range(3):
        # More files are missing each time, and the second run is killed.
        raw = dict(list(subset.raw.items())[number:])
        (tmp_path / "v.tar").write_bytes(pack_tar(raw))
        assert sync(settings, ["sav"], Notes(), executor=InlineExecutor(), full=True).code == 0
        with monkeypatch.context() as patch:
            if number == 1:
                patch.setattr("saco_data.storage.files.copy_if_changed", killed)
            with contextlib.suppress(KeyboardInterrupt):
                prune_in_place(settings, "sav")
        assert annotation(tmp_path, "sav", "_original").read_bytes() == pristine
        for path in (tmp_path / "sav" / "downloaded_videos").glob("*.mp4"):
            path.unlink()
        for path in settings.subset("sav").images.rglob("*.jpg"):
            path.unlink()
    assert annotation(tmp_path, "sav").read_bytes() == settings.subset("sav").derived.read_bytes()


def test_a_mistake_in_the_config_is_reported(tmp_path: Path) -> None:
    (tmp_path / "CONFIG_FRAMES.yaml").write_text("jobs: many\n")
    flags = ("--processed_images_folder", tmp_path / "out")
    done = script("download_fathomnet.py", *flags, cwd=tmp_path)
    assert done.returncode == 2 and ".yaml:1: jobs" in done.stderr


@pytest.mark.parametrize("name", ["geode", "bdd100k", "food_rec"])
def test_preprocess(tmp_path: Path, name: str) -> None:
    subset = build_one(tmp_path, name)
    renamed = tmp_path / "any name.json"
    annotation(tmp_path, name).rename(renamed)
    done = script(
        "preprocess_silver_geode_bdd100k_food_rec.py",
        *(
            "--annotation_file",
            renamed,
            "--raw_images_folder",
            write_files(tmp_path / "raw", subset.raw),
        ),
        *("--processed_images_folder", tmp_path / "processed", "--dataset_name", name),
        cwd=tmp_path,
    )
    assert done.returncode == 4, done.stderr  # one file is missing in the folder
    assert "1 blocked" in done.stderr
    lost = next(
        e.file_name for e in subset.entries if subset.raw_name[e.file_name] not in subset.raw
    )
    assert f"  {lost} since" in done.stderr
    (log,) = (tmp_path / "processed" / ".saco-data" / ".saco" / "logs").iterdir()
    assert f"{name}: 6 of 6 files to make" in log.read_text()
    expected = copied_products(subset)
    found = tree(tmp_path / "processed")
    assert {key: value for key, value in found.items() if not key.startswith(".")} == expected


def test_nga(tmp_path: Path) -> None:
    subset = build_one(tmp_path, "nga")
    with serve(tmp_path / "raw", {"nga": subset}) as mounts:
        (tmp_path / "CONFIG_FRAMES.yaml").write_text(yaml.safe_dump(mounts.keys))
        done = script(
            "download_preprocess_nga.py",
            *("--annotation_file", annotation(tmp_path, "nga")),
            *("--raw_images_folder", tmp_path / "raw"),
            *("--processed_images_folder", tmp_path / "processed"),
            cwd=tmp_path,
        )
    assert done.returncode == 0, done.stderr
    names = {name for name in tree(tmp_path / "processed") if not name.startswith(".")}
    assert names == {entry.file_name for entry in subset.entries} - set(subset.missing)
    assert len(list((tmp_path / "raw").glob("*.jpg"))) == len(names)


def test_inaturalist_needs_no_annotation_file(tmp_path: Path) -> None:
    subset = build_one(tmp_path, "inaturalist")
    mapping = {name: raw.removeprefix("train_val_images/") for name, raw in subset.raw_name.items()}
    (tmp_path / "subset.json").write_text(json.dumps(mapping))
    with FileServer({"/train_val_images.tar": pack_tar(subset.raw)}) as server:
        done = script(
            "download_inaturalist.py",
            *("--raw_images_folder", tmp_path / "raw"),
            *("--processed_images_folder", tmp_path / "processed"),
            *("--subset-json", tmp_path / "subset.json"),
            *("--archive-url", f"{server.url}/train_val_images.tar"),
            cwd=tmp_path,
        )
    assert done.returncode == 0, done.stderr
    found = tree(tmp_path / "processed")
    expected = {name: subset.raw[raw] for name, raw in subset.raw_name.items() if raw in subset.raw}
    assert {key: value for key, value in found.items() if not key.startswith(".")} == expected


def test_fathomnet_from_a_list_of_uuids(tmp_path: Path) -> None:
    subset = build_one(tmp_path, "fathomnet")
    uuids = [entry.file_name.removesuffix(".jpg") for entry in subset.entries]
    (tmp_path / "uuids.json").write_text(json.dumps(uuids))
    images = {name.removesuffix(".jpg"): content for name, content in subset.raw.items()}
    with FileServer() as server:
        api = FathomNet(images).mount(server)
        keys = {"endpoints": {"fathomnet_api": api}}
        (tmp_path / "CONFIG_FRAMES.yaml").write_text(yaml.safe_dump(keys))
        done = script(
            "download_fathomnet.py",
            *("--processed_images_folder", tmp_path / "processed"),
            *("--image-uuids", tmp_path / "uuids.json", "--num-procs", "64"),
            cwd=tmp_path,
        )
    assert done.returncode == 0, done.stderr
    found = tree(tmp_path / "processed")
    kept = {Path(key).stem: value for key, value in found.items() if not key.startswith(".")}
    assert kept == images


@pytest.mark.parametrize(
    "name",
    ["download_videos.py", "extract_frames.py", "download_inaturalist.py", "download_fathomnet.py"],
)
def test_a_wrong_flag_exits_2(tmp_path: Path, name: str) -> None:
    assert script(name, "--nonsense", cwd=tmp_path).returncode == 2


def test_flags_are_added_to_the_maps_of_the_config(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "CONFIG_FRAMES.yaml").write_text(
        "limits:\n  fathomnet: {requests_per_second: 1}\n  nga: {concurrency: 2}\n"
    )
    monkeypatch.chdir(tmp_path)
    seen: list[Settings] = []

    def remembered(settings: Settings, *_: object, **__: object) -> int:
        seen.append(settings)
        return 0

    monkeypatch.setattr("saco_data.engine.session.run", remembered)
    flags = ["--processed_images_folder", "out", "--num-procs", "4"]
    monkeypatch.setattr("sys.argv", ["download_fathomnet.py", *flags])
    (tmp_path / "annotations").mkdir()
    with pytest.raises(SystemExit) as ended:
        official.download_fathomnet()
    assert ended.value.code == 0
    rates = seen[0].subset("fathomnet").rates
    assert (rates.requests_per_second, rates.concurrency) == (1, 4)
    assert seen[0].subset("nga").rates.concurrency == 2
