"""`Recorder`: the record of a training loop of one's own, in three lines.

recorder = Recorder("runs/mine", model, validation_set, mean=MEAN, sd=SD)
for epoch in range(1, 91):
    train(...)
    recorder.record(epoch, train_loss=loss)
"""

from __future__ import annotations

import os
import time
import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor, nn

from compute.config.settings import RecordingSettings
from compute.data.dataset import spread
from compute.data.decode import Preparation
from compute.data.map_style import SAMPLE, MapStyleImages, Normalisation
from compute.errors import BadOption
from compute.models import ClassMapNetwork, describe
from compute.models.adoption import AdoptedNetwork, adopt
from compute.models.adoption.split import FAILURES, logits_of, output_on
from compute.models.library import library_name
from compute.models.network import WithoutTrace, evaluation_mode, unwrapped
from compute.models.registry import name_of
from compute.recording.epoch_recorder import EpochRecorder
from compute.recording.perturbations import Perturbation, check_variants
from compute.recording.recorded_images import RecordedImages, recorded_image_notes
from compute.recording.run_recorder import Material, RunRecorder, lock_run, open_or_create, run_exists
from compute.runs.provenance import collect_environment
from compute.training.augment import Normaliser
from compute.training.checkpoints import CheckpointFolder
from compute.training.distributed import current_processes
from store import Run, open_run
from store.analysis.analyse import analyse
from store.format.description import RunDescription
from store.format.layout import CHECKPOINTS
from store.format.schema import check_metric

KEPT_CHECKPOINTS = ("last", "all", "none")
_open_recorders: weakref.WeakValueDictionary[str, Recorder] = weakref.WeakValueDictionary()


class Recorder:
    """Records a network after each epoch of a training loop; the loop itself stays as it is.

    The network is proved to have class maps (`compute.models.adoption.adopt`) before anything is written. The run is
    then a folder like any other of Classprint's. Started again on the same folder, it goes on: epochs that are recorded
    already are left as they are. Under DistributedDataParallel every process makes a Recorder and calls `record`; each
    records its share of the images.

    Args:
        path: the run's folder.
        model: returns logits (n, C) or class maps (n, C, H, W) of images (n, 3, h, w). It may be wrapped in
            DistributedDataParallel or by torch.compile.
        validation: a map-style data set of (image, label), or a DataLoader of one; see `MapStyleImages`.
        mean, sd: of each channel, for intensities from 0 to 1: the Normalize that the model's input goes through. One
            number each for a model of gray images; None where its input is from 0 to 1.
        classes: names of the classes; else those of the data set, else their numbers.
        variants: names of perturbations, and functions of your own (`own_perturbation`); "clean" first.
        top: keep the maps of each image's `top` strongest classes and of its true class alone; 0 keeps all.
        every: record only epochs that are multiples of it.
        time_share: record an epoch only if recording then takes at most this share of the time since the start; 1 =
            always.
        layer: the model's layer whose grid the maps have; found where it is not given.
        maps: False records the predictions alone, of any classifier.
        precision: "float32", or "bfloat16" for a model that is used under autocast.
        batch: images per pass.
        seed: of the variants with noise.
        checkpoints: which recorded weights the run keeps, tensors alone, for the page Live: "last", "all" or "none".
        quiet: no messages and no progress bars.

    Raises:
        ComputeError: the model has no class maps, or the data set does not fit it; nothing is written then.
        RunMismatch: the run at `path` was recorded of other data or with other settings.
        RunInUse: another program is recording it.
        ProcessLost: some processes of a group make a Recorder, others do not.
    """

    def __init__(
        self,
        path: str | Path,
        model: nn.Module,
        validation: Any,
        *,
        mean: Sequence[float] | None = None,
        sd: Sequence[float] | None = None,
        classes: Sequence[str] | None = None,
        variants: Sequence[str | Perturbation | Callable[..., Any]] = ("clean", "gray"),
        top: int = 0,
        every: int = 1,
        time_share: float = 1.0,
        layer: str | None = None,
        maps: bool = True,
        precision: str = "float32",
        batch: int = 100,
        seed: int = 0,
        checkpoints: str = "last",
        quiet: bool = False,
    ) -> None:
        self.path, self.every, self.time_share, self.quiet = Path(path), every, time_share, quiet
        _check_options(every, time_share, batch, precision)
        if checkpoints not in KEPT_CHECKPOINTS:
            raise BadOption(f"checkpoints = {checkpoints!r} is unknown: choose {', '.join(KEPT_CHECKPOINTS)}.")
        self.processes, self.checkpoints, self._calls = current_processes(), checkpoints, 0
        self._meet("Recorder")  # first: the collective calls below would wait for ever for a process that stays away
        normalisation = _normalisation(mean, sd)
        images, perturbations = MapStyleImages(validation, normalisation), check_variants(variants)
        inner = unwrapped(model)
        with unchanged_random_numbers():
            self.network = class_map_network(inner, images, layer=layer, maps=maps)
            material = _material(
                self.path.name,
                self.network,
                images,
                perturbations,
                classes=classes,
                settings={"top": top, "precision": precision, "seed": seed},
            )
        self._resources = ExitStack()
        self._open(material, images.normalisation, batch=batch, precision=precision)
        self._started, self._spent, self._longest = time.monotonic(), 0.0, 0.0
        self._initial = _weight_sums(self.network)  # and no copy, which would take the network's memory again
        self._say(_summary(self.path, self.network, material.description, len(self.recorded_epochs)))

    def _open(self, material: Material, normalisation: Normalisation, *, batch: int, precision: str) -> None:
        """Locks the run, creates or resumes it, and makes what records its epochs."""
        earlier = _open_recorders.pop(os.path.realpath(self.path), None)
        if earlier is not None:  # a notebook's cell that is run again
            earlier.close()
        try:
            self._resources.enter_context(lock_run(self.path, self.processes))
            is_new = not run_exists(self.path)
            self.processes.wait()  # before the first process creates it
            run = open_or_create(self.path, material, self.processes, quiet=self.quiet or not self.processes.first)
            part = self.processes.share(len(material.description.labels))
            device = device_of(self.network)
            epochs = EpochRecorder(
                RecordedImages(open_run(self.path), part, device),
                settings=RecordingSettings(batch=batch),
                normalise=Normaliser(normalisation.mean, normalisation.sd, device),
                precision=precision,
                quiet=self.quiet,
            )
            self._run = RunRecorder(run, epochs, processes=self.processes)
            self._weights = CheckpointFolder(self.path / CHECKPOINTS, run_id=run.facts.id, keep=self.checkpoints)
            self.recorded_epochs = set(run.complete_epochs)
            if is_new and self.processes.first and not self.quiet:
                for note in recorded_image_notes(open_run(self.path)):
                    self._say(f"note: {note}")
        except BaseException:
            self._resources.close()
            raise
        # Most loops end without `close`: the last epoch is then completed when the recorder or the program ends.
        self._closing = weakref.finalize(self, _close, self._run, self._resources)
        _open_recorders[os.path.realpath(self.path)] = self

    def record(self, epoch: int, *, label: str = "", force: bool = False, **metrics: float) -> dict[str, float] | None:
        """Records the network as it is now. Every module is left in the mode, training or evaluation, that it was in.

        Args:
            epoch: its number; 0 is the network before its first step.
            label: a name of it for people, such as "best".
            force: record it whatever `every` and `time_share` say, such as the last epoch.
            metrics: numbers to keep with it, such as train_loss, train_top1 and learning_rate.

        Returns:
            All its metrics, validation_loss, validation_top1 and validation_top5 among them; None where it was not
            recorded, because of `every` or `time_share` or because it is recorded already.

        Raises:
            BadOption: an epoch below 0, epoch 0 after a step, or a metric that is no number or that the recorder
                measures itself.
            StoreError: the maps cannot be written, for instance because they are not finite.
            ProcessLost: only some processes of a group called it.
        """
        numbers = _checked_metrics(epoch, metrics)  # before the pass: a bad name must not cost an epoch's recording
        if epoch in self.recorded_epochs:
            self._say(f"Epoch {epoch} of '{self.path}' is recorded already and stays as it is.")
            return None
        if epoch == 0 and _weight_sums(self.network) != self._initial:
            raise BadOption(
                "Epoch 0 is the network before its first step, and the weights have changed since the recorder was "
                "made. Count epochs from 1: record(epoch + 1) where your loop begins at 0."
            )
        if not force and epoch % self.every:
            return None
        self._meet("Recorder.record")
        if not force and self._is_over_time():
            return None
        started = time.monotonic()
        with unchanged_random_numbers():
            recorded = self._run.record(epoch, self.network, numbers, title=f"recording epoch {epoch}", label=label)
        self.recorded_epochs.add(epoch)
        self._keep_weights(epoch)
        seconds = time.monotonic() - started
        self._spent, self._longest = self._spent + seconds, max(self._longest, seconds)
        return recorded

    @property
    def next_epoch(self) -> int:
        """The number after the last epoch that is recorded, 1 in a new run: where to resume a training."""
        return max(self.recorded_epochs, default=0) + 1

    def analyse(self) -> None:
        """Waits until the last epoch is on disk and computes what spans the epochs: findings and some charts need it.

        In a group of processes all call it, and the first one computes.
        """
        self._run.wait()
        self._meet("Recorder.analyse")
        if self.processes.first and open_run(self.path).epochs:
            analyse(open_run(self.path))

    def close(self) -> None:
        """Waits until the last epoch is on disk and lets others record the run; happens by itself at the end."""
        self._closing()

    def __enter__(self) -> Self:
        """The recorder itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Analyse, unless an error ended the block, and close."""
        try:
            if kind is None:
                self.analyse()
        finally:
            self.close()

    def _keep_weights(self, epoch: int) -> None:
        """Writes the weights that were recorded, and removes older ones where only the last are kept."""
        if self.checkpoints == "none" or not self.processes.first:
            return
        self._weights.save_weights(epoch, _body_of(self.network).state_dict(), {})
        self._weights.remove_before(epoch)

    def _meet(self, what: str) -> None:
        """Waits for the other processes, and refuses a call that they do not make."""
        self._calls += 1
        self.processes.meet(f"{self.path}/{self._calls}", what)

    def _is_over_time(self) -> bool:
        """Whether one more epoch, as long as the longest so far, would exceed the share of the time; in any process."""
        expected = time.monotonic() - self._started + self._longest
        late = self._longest > 0 and self._spent + self._longest > self.time_share * expected
        return self.processes.any(late)

    def _say(self, text: str) -> None:
        if not self.quiet and self.processes.first:
            print(text, flush=True)


def record(
    path: str | Path, model: nn.Module, validation: Any, *, epoch: int = 1, label: str = "", **options: Any
) -> Run:
    """Records a trained network once and opens the run; `options` and what is raised are those of `Recorder`."""
    with Recorder(path, model, validation, **options) as recorder:
        recorder.record(epoch, label=label, force=True)
    return open_run(path)


def _close(run: RunRecorder, resources: ExitStack) -> None:
    with resources:
        run.wait()


def device_of(network: nn.Module) -> torch.device:
    """Where the network's first parameter is; the CPU for one without any."""
    return next((each.device for each in network.parameters()), torch.device("cpu"))


@contextmanager
def unchanged_random_numbers() -> Iterator[None]:
    """The training draws the same random numbers after the block as without it."""
    state = torch.get_rng_state()
    on_gpu = torch.cuda.get_rng_state_all() if torch.cuda.is_initialized() else []
    try:
        yield
    finally:
        torch.set_rng_state(state)
        if on_gpu:
            torch.cuda.set_rng_state_all(on_gpu)


def class_map_network(
    model: nn.Module, images: MapStyleImages, *, layer: str | None = None, maps: bool = True
) -> ClassMapNetwork:
    """The model as a network with class maps: itself where it is one or returns maps, else adopted, proved on images.

    Raises:
        BadModel: it has no class maps.
    """
    if isinstance(model, ClassMapNetwork):
        return model
    x = sample_input(images, device_of(model))
    with evaluation_mode(model), torch.no_grad():
        weights = next(model.parameters(), x)
        output = output_on(model, x[:2].to(weights.dtype if weights.is_floating_point() else x.dtype))
    if isinstance(output, Tensor) and output.ndim == 4:
        return WithoutTrace(model, signed=getattr(model, "signed", True))
    return adopt(model if layer else _library_part(model, x[:2]), x, layer, maps=maps)


def _library_part(model: nn.Module, x: Tensor) -> nn.Module:
    """The library's network inside a module that only wraps it, as LightningModules do, which Live can build by name.

    It is recognised by its logits of the images x; else the module itself is returned.
    """
    parts = [child for child in model.children() if next(child.parameters(), None) is not None]
    if len(parts) != 1 or len(list(model.parameters())) != len(list(parts[0].parameters())):
        return model
    try:
        with evaluation_mode(model), torch.no_grad():
            whole, part = logits_of(model(x)), logits_of(parts[0](x))
    except FAILURES:  # the part takes something else
        return model
    return parts[0] if torch.equal(whole, part) and library_name(parts[0], whole.shape[1]) else model


def sample_input(images: MapStyleImages, device: torch.device) -> Tensor:
    """Some of the images, spread over all of them, as the network's input (n, channels, h, w)."""
    pixels = np.concatenate([images[row : row + 1] for row in spread(len(images), SAMPLE)])
    if len(pixels) == 1:  # the proof compares two
        pixels = np.concatenate([pixels, pixels[:, ::-1]])
    normalise = Normaliser(images.normalisation.mean, images.normalisation.sd, device)
    return normalise(torch.from_numpy(pixels).to(device))


def _material(
    name: str,
    network: ClassMapNetwork,
    images: MapStyleImages,
    perturbations: Sequence[Perturbation],
    *,
    classes: Sequence[str] | None,
    settings: Mapping[str, Any],
) -> Material:
    """What run.h5 is made of."""
    x = sample_input(images, device_of(network))[:2]
    with evaluation_mode(network), torch.no_grad():
        outputs = network(x).shape[1]
    infos = images.classes(outputs, classes)
    shapes = describe(network, image_shape=images.image_shape, classes=outputs, channels=x.shape[1])
    evidence = network.evidence if isinstance(network, AdoptedNetwork) else None
    normalisation = {"mean": list(images.normalisation.mean), "sd": list(images.normalisation.sd)}
    configuration = {
        "data": {"source": type(images.data).__name__, "sha256": images.digest(), "seed": settings["seed"]}
        | normalisation,
        "model": _model_settings(network, outputs),
        "training": {"precision": settings["precision"]},
        "recording": {"variants": [each.name for each in perturbations], "top": settings["top"]},
    }
    parameters, prepared = sum(each.numel() for each in network.parameters()), images.preparation
    description = RunDescription(
        name=name,
        classes=infos,
        variants=tuple(each.variant() for each in perturbations),
        labels=images.labels,
        image_names=images.names,
        image_shape=images.image_shape,
        map_shape=shapes.maps,
        signed=network.signed,
        layers=shapes.layers,
        stages=shapes.stages,
        configuration=configuration,
        provenance=collect_environment(device_of(network), current_processes()) | {"parameters": parameters},
        preparation=prepared.record() | normalisation if isinstance(prepared, Preparation) else prepared,
        evidence=evidence.kind if evidence else "network",
        evidence_error=evidence.error if evidence else float("nan"),
        kept_maps=settings["top"],
    )
    return Material(description, images, perturbations, settings["seed"])


def _body_of(network: ClassMapNetwork) -> nn.Module:
    """The user's own model."""
    return network.body if isinstance(network, AdoptedNetwork | WithoutTrace) else network


def _model_settings(network: ClassMapNetwork, classes: int) -> dict[str, Any]:
    """The model's name, under which Live can build it again, and how its maps were made."""
    body = _body_of(network)
    kind = type(body)
    own = kind.__qualname__ if kind.__module__ == "__main__" else f"{kind.__module__}:{kind.__qualname__}"
    settings: dict[str, Any] = {"name": name_of(body) or library_name(body, classes) or own}
    if isinstance(network, AdoptedNetwork):
        settings |= {"layer": network.evidence.layer, "maps": network.evidence.kind != "none"}
    return settings


def _check_options(every: int, time_share: float, batch: int, precision: str) -> None:
    if every < 1 or batch < 1:
        raise BadOption(f"every = {every} and batch = {batch} must be whole numbers from 1 on.")
    if not 0 < time_share <= 1:
        raise BadOption(f"time_share = {time_share} is invalid: allowed is a share above 0 and up to 1.")
    if precision not in ("float32", "bfloat16"):
        raise BadOption(f"precision = {precision!r} is unknown: choose float32 or bfloat16.")


def _normalisation(mean: Sequence[float] | None, sd: Sequence[float] | None) -> Normalisation | None:
    if (mean is None) != (sd is None):
        raise BadOption(f"mean = {mean} and sd = {sd}: give both or neither.")
    if mean is None or sd is None:
        return None
    found = Normalisation(tuple(map(float, mean)), tuple(map(float, sd)))
    if min(found.sd) <= 0:
        raise BadOption(f"sd = {list(found.sd)} must be above 0: it is a divisor.")
    return found


def _weight_sums(network: nn.Module) -> list[float]:
    """A number for each parameter that a step of training changes."""
    return [float(each.detach().sum(dtype=torch.float64)) for each in network.parameters() if each.is_floating_point()]


def _checked_metrics(epoch: int, metrics: Mapping[str, Any]) -> dict[str, float]:
    if isinstance(epoch, bool) or not isinstance(epoch, int | np.integer) or epoch < 0:
        raise BadOption(f"The epoch {epoch!r} is not a whole number from 0 on.")
    own = sorted(name for name in metrics if name.startswith("validation_"))
    if own:
        raise BadOption(f"The recorder measures {own[0]} itself on the recorded images. Give yours another name.")
    numbers: dict[str, float] = {}
    for name, value in metrics.items():
        try:
            number = float(value.detach() if isinstance(value, Tensor) else value)
        except (TypeError, ValueError, RuntimeError) as err:
            raise BadOption(f"The metric {name} is {str(value)[:100]}, not a number.") from err
        try:
            numbers[name] = check_metric(name, number)
        except ValueError as err:
            raise BadOption(f"Epoch {epoch} was not recorded: {err}.") from err
    return numbers


def _summary(path: Path, network: ClassMapNetwork, description: RunDescription, epochs: int) -> str:
    """One line about what is recorded."""
    height, width = description.map_shape
    maps = f"maps of {height}×{width} cells" if description.has_maps else "predictions without maps"
    if isinstance(network, AdoptedNetwork) and description.has_maps:
        maps += f" from '{network.evidence.layer}', {description.evidence} (error {description.evidence_error:.1e})"
    state = f"resumed, {epochs} epochs recorded" if epochs else "new"
    return (
        f"'{path}' ({state}): {len(description.labels):,} images of {len(description.classes):,} classes, "
        f"variants: {len(description.variants)}, {maps}"
    )
