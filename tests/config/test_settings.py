"""The config: an official file loads, and every mistake names file, line, key and remedy."""

from __future__ import annotations

from pathlib import Path

import pytest

from saco_data.catalog.manifest import Manifest
from saco_data.config import settings as config
from saco_data.config.keys import ClusterKeys
from saco_data.config.settings import parse, subset_keys
from saco_data.config.subset import SubsetConfig
from saco_data.model.errors import ConfigError, UsageError
from tests.helpers.names import SILVER

# The keys and value forms of the official file.
OFFICIAL = """
path_annotations: /shared/annotations/

# Paths with downloaded data
droid_path: /shared/droid/
sav_path: /shared/sav/
ego4d_path: /shared/ego4d/
yt1b_path: /shared/yt1b/

cookies_path: /home/somebody/cookies.txt  # for YT1B
update_annotation_yt1b: true
update_annotation_ego4d: true

sav_videos_fps_6_download_path: ''

remove_downloaded_videos_yt1b: false
remove_downloaded_videos_droid: false
remove_downloaded_videos_ego4d: false
remove_downloaded_videos_sav: true

num_images_show: 5
saco_subset_show: yt1b  # Options: [yt1b, ego4d, sav, droid]
directory_save: /home/somebody/tmp/
aws_access_key_id: AKIAEXAMPLE
aws_secret_access_key: secretsecret
"""


def test_an_official_file_loads_unchanged(tmp_path: Path) -> None:
    (tmp_path / "CONFIG_FRAMES.yaml").write_text(OFFICIAL)
    settings = config.load(tmp_path / "CONFIG_FRAMES.yaml")
    assert settings.annotations == Path("/shared/annotations")
    assert settings.subset("sav").folder == Path("/shared/sav")
    assert settings.subset("sav").raw_folder == Path("/shared/sav/downloaded_videos/videos_fps_6")
    assert settings.subset("ego4d").raw_folder == Path("/shared/ego4d/downloaded_videos/v1/clips")
    assert settings.subset("droid").frames_view == Path("/shared/droid/frames")
    assert settings.subset("sav").raw is None
    assert settings.subset("sav").removes_videos and not settings.subset("droid").removes_videos
    assert settings.silver == tmp_path / "data" / "silver"
    assert settings.subset("geode").may_prune


def test_the_committed_file_loads() -> None:
    settings = config.load(Path(__file__).parents[2] / "CONFIG_FRAMES.yaml")
    assert [settings.subset(name).images.name for name in SILVER] == list(SILVER)


@pytest.mark.parametrize(
    ("text", "line", "key", "words"),
    [
        ("a: 1\n", 1, "a", "unknown key"),
        ("\nsilver_pth: x\n", 2, "silver_pth", "Did you mean 'silver_path'"),
        ("jobs: many\n", 1, "jobs", "a whole number"),
        ("jobs: 0\n", 1, "jobs", "0 does not fit. Write at least 1"),
        ("jobs: true\n", 1, "jobs", "a whole number"),
        ("num_images_show: '5'\n", 1, "num_images_show", "a whole number"),
        ("silver_path: ~nobody-of-this-name/x\n", 1, "silver_path", "unknown home"),
        ("silver_path: ''\n", 1, "silver_path", "is empty"),
        ("limits:\n  nga: {sleep_seconds: [5, 1]}\n", 2, "limits.nga.sleep_seconds", "min <= max"),
        ("limits:\n  nga: {sleep_seconds: [-1, 1]}\n", 2, "limits.nga.sleep_seconds", "min <= max"),
        ("limits:\n  nga: {concurrency: true}\n", 2, "limits.nga.concurrency", "a whole number"),
        ("x_path: 1\n", 1, "x_path", "unknown key"),
        ("sav_path: 3\n", 1, "sav_path", "a path"),
        ("update_annotation_sav: maybe\n", 1, "update_annotation_sav", "true or false"),
        ("\n\nsav_links_file: <YOUR_LINKS_FILE>\n", 3, "sav_links_file", "placeholder"),
        ("geode_raw: $NO_SUCH_VARIABLE/x\n", 1, "geode_raw", "$NO_SUCH_VARIABLE is not set"),
        ("saco_subset_show: gold\n", 1, "saco_subset_show", "not a subset"),
        (
            "limits:\n  nga: {concurency: 3}\n",
            2,
            "limits.nga.concurency",
            "unknown key. Did you mean 'concurrency'",
        ),
        (
            "collections:\n  sa-v:\n    shard: [1]\n",
            3,
            "collections.sa-v.shard",
            "Did you mean 'shards'",
        ),
        ("collections: {sa-v: {shards: [x]}}\n", 1, "collections.sa-v.shards", "'x' does not fit"),
        ("collections: {sa-v: {annotations: all}}\n", 1, "collections.sa-v.annotations", "one of"),
        ("limits: {nga: 3}\n", 1, "limits.nga", "a map"),
        ("limits: {NGAA: {}}\n", 1, "limits.NGAA", "Did you mean 'nga'"),
        ("hf_token: [geheim]\n", 1, "hf_token", "its value does not fit. Write text"),
        ("limits:\n  ngaa: {concurrency: 3}\n", 2, "limits.ngaa", "Did you mean 'nga'"),
        ("endpoints:\n  nga_iif: http://x\n", 2, "endpoints.nga_iif", "Did you mean 'nga_iiif'"),
        ("transport: {droid: ftp}\n", 1, "transport.droid", "one of https, gsutil"),
        ("executor: ray\n", 1, "executor", "Write local"),
        ("executor: tcp://10.0.0.1:8786\n", 1, "executor", "Write tls://host:port"),
        ("executor: [dask]\n", 1, "executor", "Write text"),
        ("executor:\n  slurm: {nodes: 2}\n", 1, "executor.slurm.cores", "is missing"),
        ("executor:\n  slrm: {}\n", 1, "executor.slurm", "is missing"),
        ("jobs: 1\njobs: 2\n", 2, "jobs", "given twice"),
        ("silver_path: x\npath_annotations: x/annotations\n", 2, "path_annotations", "share"),
    ],
)
def test_a_mistake_names_line_key_and_remedy(
    tmp_path: Path, text: str, line: int, key: str, words: str
) -> None:
    file = tmp_path / "CONFIG_FRAMES.yaml"
    file.write_text(text)
    with pytest.raises(ConfigError) as caught:
        config.load(file)
    assert caught.value.item == f"{file}:{line}: {key}"
    assert words in str(caught.value)
    assert caught.value.remedy


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"a: [1\n", "is not YAML"),
        (b"\tx: 1", "is not YAML"),
        (b"- 1\n", "not a YAML mapping"),
        (b"\xff\xfe\x00", "not UTF-8"),
        (b"a: !!python/object:os.system x", "is not YAML"),
    ],
)
def test_other_content_than_a_config_is_refused(tmp_path: Path, content: bytes, words: str) -> None:
    (tmp_path / "c.yaml").write_bytes(content)
    with pytest.raises(ConfigError, match=words):
        config.load(tmp_path / "c.yaml")


def test_an_empty_config_has_the_defaults(tmp_path: Path) -> None:
    (tmp_path / "c.yaml").write_text("")
    settings = config.load(tmp_path / "c.yaml")
    assert settings.subset("nga").folder == tmp_path / "data" / "nga"


def test_paths_expand(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOMEWHERE", "/far")
    monkeypatch.setenv("HOME", "/home/me")
    (tmp_path / "c.yaml").write_text("geode_raw: ${SOMEWHERE}/g.zip\nbdd100k_raw: ~/b.zip\n")
    settings = config.load(tmp_path / "c.yaml")
    assert settings.subset("geode").raw == Path("/far/g.zip")
    assert settings.subset("bdd100k").raw == Path("/home/me/b.zip")


def test_urls_stay_as_they_are() -> None:
    link = "https://cdn.example/x.tar?Signature=a$b~c"
    assert config.parse(f"sav_videos_fps_6_download_path: {link}").subset("sav").raw == link


@pytest.mark.parametrize("name", ["local", "dask", "tcp://127.0.0.1:8786", "tls://node7:8786"])
def test_work_runs_where_the_config_says(name: str) -> None:
    assert config.parse(f"executor: {name}").keys.executor == name


def test_slurm_is_asked_for_what_the_config_says() -> None:
    text = 'executor: {slurm: {nodes: 2, cores: 8, memory: 16GB, walltime: "12:00:00"}}'
    executor = config.parse(text).keys.executor
    assert isinstance(executor, ClusterKeys)
    assert (executor.slurm.nodes, executor.slurm.minimum_nodes) == (2, 1)
    assert config.override(config.parse(text), {"jobs": 3}).keys.executor == executor


def test_secrets_are_not_shown() -> None:
    settings = config.parse("aws_secret_access_key: topsecret\nhf_token: hidden\n")
    assert "topsecret" not in repr(settings) and "hidden" not in repr(settings)
    assert settings.keys.hf_token and settings.keys.hf_token.get_secret_value() == "hidden"


def test_limits_override_the_manifest_and_removal_bounds_parallel_downloads() -> None:
    settings = config.parse("limits: {droid: {concurrency: 32}}\n")
    assert settings.subset("droid").rates.concurrency == 32
    settings = config.parse(
        "limits: {droid: {concurrency: 32}}\nremove_downloaded_videos_droid: true\n"
    )
    assert settings.subset("droid").rates.concurrency == 2


def test_an_original_beside_a_pruned_file_is_the_pristine_one(tmp_path: Path) -> None:
    settings = config.parse(f"path_annotations: {tmp_path}\n")
    assert settings.subset("sav").pristine.name == "silver_sav_merged_test.json"
    (tmp_path / "silver_sav_merged_test_original.json").write_text("{}")
    assert settings.subset("sav").pristine.name == "silver_sav_merged_test_original.json"


def test_the_nearest_config_upwards_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SACO_CONFIG", raising=False)
    below = tmp_path / "a" / "b"
    below.mkdir(parents=True)
    (tmp_path / "CONFIG_FRAMES.yaml").write_text("")
    assert config.find(below) == tmp_path / "CONFIG_FRAMES.yaml"
    monkeypatch.setenv("SACO_CONFIG", "/elsewhere.yaml")
    assert config.find(below) == Path("/elsewhere.yaml")


def test_without_a_config_the_error_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SACO_CONFIG", raising=False)
    with pytest.raises(UsageError, match="--config"):
        config.find(tmp_path)


PATH_KEYS = [
    "path_annotations",
    "state_path",
    "cookies_path",
    "sav_links_file",
    "directory_save",
    *(key for key, kind in subset_keys().items() if kind is str),
]


@pytest.mark.parametrize("scheme", ["s3", "gs", "az", "hdfs", "file", "S3"])
@pytest.mark.parametrize("key", PATH_KEYS)
def test_a_bucket_in_a_path_key_is_refused_by_name(key: str, scheme: str) -> None:
    with pytest.raises(ConfigError) as told:
        parse(f"jobs: 1\n{key}: {scheme}://bucket/silver\n", Path("/x/C.yaml"))
    assert f":2: {key}" in str(told.value) and f"{scheme}://" in str(told.value)
    assert told.value.exit_code == 2


@pytest.mark.parametrize("scheme", ["az", "hdfs", "file", "https"])
def test_silver_path_is_a_folder_or_a_bucket_that_can_be_written(scheme: str) -> None:
    with pytest.raises(ConfigError, match=f"{scheme}://"):
        parse(f"silver_path: {scheme}://bucket/silver\n", Path("/x/C.yaml"))
    for place in ("s3://bucket/silver", "gs://bucket/silver/"):
        settings = parse(f"silver_path: {place}\n", Path("/x/C.yaml"))
        assert settings.bucket == place.rstrip("/")
        assert settings.state == Path("/x/.saco") and settings.silver == Path("/x/.saco/copy")
        named = parse(f"silver_path: {place}\nstate_path: here\n", Path("/x/C.yaml"))
        assert named.state == Path("/x/here")
    local = parse("state_path: here\n", Path("/x/C.yaml"))
    assert (local.bucket, local.silver) == ("", Path("/x/data/silver"))
    assert local.state == Path("/x/here")


def test_an_address_with_keys_in_it_is_refused_without_repeating_them() -> None:
    with pytest.raises(ConfigError) as told:
        parse("silver_path: s3://AKIAKEY:hiddenword@bucket/silver\n", Path("/x/C.yaml"))
    assert "hiddenword" not in str(told.value) and "silver_path" in str(told.value)


@pytest.mark.parametrize("key", ["path", "manifests", "raw: {one"])
def test_a_bucket_in_a_collection_is_refused(key: str) -> None:
    end = "}" if "{" in key else ""
    with pytest.raises(ConfigError, match="gs://"):
        parse(f"collections:\n  birds:\n    {key}: gs://bucket/x{end}\n", Path("/x/C.yaml"))


def test_a_url_where_only_a_path_fits_is_refused() -> None:
    with pytest.raises(ConfigError, match="https://"):
        parse("silver_path: https://host/silver\n", Path("/x/C.yaml"))
    settings = parse("bdd100k_raw: https://host/a.zip\n", Path("/x/C.yaml"))
    assert settings.subset("bdd100k").raw == "https://host/a.zip"


def test_a_seek_index_is_named_by_the_config_or_pinned_by_the_manifest(tmp_path: Path) -> None:
    digest = "a" * 64
    place = f"indices/i.gz#sha256={digest.upper()}"
    settings = config.parse(f"inaturalist_index: {place}\n", tmp_path / "c.yaml")
    own = settings.subset("inaturalist")
    assert own.seek_index == (tmp_path / "indices/i.gz", digest)
    assert settings.subset("food_rec").seek_index is None
    url = "https://h/i.gz"
    text = f"collections: {{o365: {{index: {{val: '{url}#sha256={digest}'}}}}}}\n"
    in_collection = config.parse(text).subset("o365/val")
    assert in_collection.seek_index == (url, digest)
    facts = in_collection.manifest.model_dump()
    facts["endpoints"]["index"] = url
    facts["pinned"]["index"] = {"sha256": digest}
    pinned = SubsetConfig(config.parse("{}"), Manifest.model_validate(facts))
    assert pinned.seek_index == (url, digest)
    with pytest.raises(ConfigError, match="unknown name"):
        config.parse("collections: {o365: {index: {train: x}}}\n")
    with pytest.raises(ConfigError, match="an address"):
        config.parse("inaturalist_index: s3://bucket/i.gz\n")
