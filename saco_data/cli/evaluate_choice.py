"""Which predictions, ground truths and subsets the options of `saco eval` mean."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from saco_data.cli.common import Options

if TYPE_CHECKING:
    from saco_data.catalog.manifest import Manifest
    from saco_data.evaluation.files import Elsewhere, Task


class Choice:
    """What the options say about ground truths and subsets; the config is read when needed."""

    def __init__(
        self,
        options: Options,
        subset: str | None,
        truths: tuple[Path, ...],
        ran: Path | None,
        iou: str,
        metric: str | None,
    ) -> None:
        self.options, self.subset, self.truths = options, subset, truths
        self.ran, self.iou, self.metric = ran, iou, metric
        self._settings: Any = None

    @property
    def settings(self) -> Any:
        """The config; None where a ground truth is named and there is no config."""
        from saco_data.model.errors import ConfigError, UsageError

        if self._settings is None:
            try:
                self._settings = self.options.settings()
            except ConfigError:
                raise
            except UsageError as error:
                if self.truths:
                    return None
                raise UsageError(
                    error.what, remedy="Run where the config is, or name a ground truth with --gt"
                ) from error
        return self._settings

    def manifests(self) -> Sequence[Manifest]:
        """All subsets: those of the config, or ours."""
        from saco_data.catalog import registry

        settings = None if self.truths else self.settings
        found: Any = settings.registry if settings else registry.builtin()
        return tuple(found.manifests)

    def tasks(self, words: Sequence[str]) -> list[Task]:
        """What to evaluate. Raises UsageError where it cannot be told."""
        from saco_data.evaluation import naming
        from saco_data.model.errors import UsageError

        naming.require_files(self.truths)
        found = naming.find(words, self.manifests(), self.subset, self.iou, bool(self.truths))
        tasks = [self._task(path, manifest) for path, manifest in found]
        names = [each.name for each in tasks]
        if twice := {name for name in names if names.count(name) > 1}:
            raise UsageError(
                f"several predictions are of {', '.join(sorted(twice))}", remedy="Name one of each"
            )
        if self.ran and len(tasks) > 1:
            raise UsageError("--ran is for one prediction", remedy="Name one subset")
        return tasks

    def _task(self, path: Path, manifest: Manifest | None) -> Task:
        from saco_data.evaluation import naming
        from saco_data.evaluation.files import Task

        if self.truths:
            truth = self.truths[0]
            manifest = naming.of_annotation_file(truth, self.manifests()) or manifest
            name = manifest.id if manifest else truth.stem
            published = manifest.annotations.evaluated if manifest else None
            return Task(name, path, self.truths, None, published, self.ran)
        assert manifest is not None
        config = self.settings.subset(manifest.id)
        truth, copy = naming.annotation_files(config)
        published = manifest.annotations.evaluated
        return Task(manifest.id, path, (truth,), copy, published, self.ran)

    def elsewhere(self) -> Elsewhere | None:
        """Finds the subsets of unknown ids, where there is a config."""
        from saco_data.evaluation import naming

        if self.truths and self.options.config is None:
            return None
        settings = self.settings
        return naming.owner_of_ids(settings) if settings else None
