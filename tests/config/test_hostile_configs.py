"""Configs that are mistaken or hostile: exit 2 with file, line and key, quickly."""

from __future__ import annotations

from pathlib import Path

import pytest

from saco_data.config.settings import load
from saco_data.model.errors import ConfigError
from tests.config.test_settings import PATH_KEYS

BOMB = "\n".join(
    ["x0: &x0 {a: 1}"]
    + [
        f"x{n}: &x{n} {{" + ", ".join(f"k{k}: *x{n - 1}" for k in range(9)) + "}"
        for n in range(1, 9)
    ]
)
LISTS = "\n".join(
    ["x0: &x0 [1]"] + [f"x{n}: &x{n} [" + ", ".join([f"*x{n - 1}"] * 9) + "]" for n in range(1, 9)]
)
CONFIGS = {
    "impossible date": ("geode_path: 2024-13-45", 2, "geode_path"),
    "impossible time": ("geode_path: 2024-01-01 99:99:99", 2, "geode_path"),
    "integer of 5000 digits": (f"jobs: {'9' * 5000}", 2, "jobs"),
    "integer of 400 digits": (f"jobs: {'9' * 400}", 2, "jobs"),
    "hours of 400 digits": (f"gone_confirm_hours: {'9' * 400}", 2, "gone_confirm_hours"),
    "rate of 400 digits": (f"limits:\n  nga:\n    requests_per_second: {'9' * 400}", 4, "limits"),
    "cyclic alias": ("endpoints: &a\n  b: *a", 3, "endpoints"),
    "cyclic list": ("endpoints: &a\n  b: [*a]", 3, "endpoints"),
    "alias bomb of maps": (BOMB, 0, ""),
    "alias bomb of lists": (LISTS, 0, ""),
    "deep nesting": ("endpoints: " + "[" * 5000, 0, ""),
    "null character": ('silver_path: "a\\0b"', 2, "silver_path"),
    "half a surrogate": ('silver_path: "a\\uD800b"', 2, "silver_path"),
    "too large a float": ("gone_confirm_hours: 1e999", 2, "gone_confirm_hours"),
}


@pytest.mark.timeout(20)
@pytest.mark.parametrize("name", CONFIGS)
def test_a_hostile_config_is_exit_2(tmp_path: Path, name: str) -> None:
    text, line, key = CONFIGS[name]
    path = tmp_path / "CONFIG_FRAMES.yaml"
    path.write_text(f"path_annotations: annotations\n{text}\n")
    with pytest.raises(ConfigError) as told:
        load(path)
    assert str(path) in str(told.value) and len(str(told.value)) < 1000
    if line:
        assert f"{path}:{line}: {key}" in str(told.value) or (
            f"{path}:{line - 1}: {key}" in str(told.value)
        )


@pytest.mark.parametrize("key", PATH_KEYS)
@pytest.mark.parametrize("value", ["x" * 5000, "a/" + "y" * 300, "z/" * 3000])
def test_an_over_long_path_is_named(tmp_path: Path, key: str, value: str) -> None:
    path = tmp_path / "CONFIG_FRAMES.yaml"
    path.write_text(f"jobs: 1\n{key}: {value}\n")
    with pytest.raises(ConfigError, match="too long") as told:
        load(path)
    assert f"{path}:2: {key}" in str(told.value)


def test_a_harmless_alias_is_read(tmp_path: Path) -> None:
    path = tmp_path / "CONFIG_FRAMES.yaml"
    path.write_text("limits:\n  nga: &slow {concurrency: 1}\n  fathomnet: *slow\n")
    assert load(path).keys.limits["fathomnet"].concurrency == 1
