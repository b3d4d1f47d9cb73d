"""Everything that a run needs before its first step: data, network, weights, shapes. Bad input is refused here."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from compute.config.profile import as_dict
from compute.config.settings import DataSettings, Profile
from compute.data.dataset import Dataset, Selection
from compute.data.decode import Preparation
from compute.data.label_noise import add_threshold_class, exchange_labels
from compute.data.load import load_dataset
from compute.errors import BadOption
from compute.models import ClassMapNetwork, build, describe
from compute.models.network import Shapes
from compute.recording.epoch_recorder import EpochRecorder
from compute.recording.perturbations import Perturbation, check_variants
from compute.recording.recorded_images import RecordedImages
from compute.recording.run_recorder import Material
from compute.runs.device import choose_device, has_room, prepare_device
from compute.runs.interrupt import StopRequest
from compute.runs.provenance import collect_provenance
from compute.training.augment import Augmenter, Normaliser
from compute.training.distributed import Processes
from compute.training.trainer import TrainingSet
from compute.training.weights import WeightsReport, load_weights
from store import open_run
from store.format.description import RunDescription

# A resumed run may name its data and weights differently: the SHA-256 beside each of these settings decides.
SOURCE_NAMES = ("data.source", "weights.source", "weights.partial")
# Where the profile's batch is larger than the training set: a first try has few images, and the whole set in one batch
# would be a single step an epoch.
STEPS_OF_SMALL_SETS = 8


@dataclass(frozen=True)
class PreparedRun:
    """A run that is ready to start."""

    profile: Profile
    device: torch.device
    processes: Processes
    dataset: Dataset
    network: ClassMapNetwork  # on the device, with its initial weights
    weights: WeightsReport
    shapes: Shapes
    notes: tuple[str, ...] = ()  # for the user: images left out, settings adapted to the data
    kept_maps: int = 0  # classes of each image whose maps are kept; 0 = all
    group: str = ""  # name that trainings share which differ in their seed alone

    @property
    def normaliser(self) -> Normaliser:
        """From uint8 images to the network's input."""
        return Normaliser(self.profile.data.mean, self.profile.data.sd, self.device)

    @property
    def augmenter(self) -> Augmenter:
        """The same with the profile's augmentation."""
        return Augmenter(self.profile.augmentation, self.normaliser)

    @property
    def parameters(self) -> int:
        """How many parameters the network has."""
        return sum(each.numel() for each in self.network.parameters())

    def training_set(self) -> TrainingSet:
        """The training images on the device, or read batch by batch where a GPU has no room for them."""
        train = self.dataset.training_images()
        device = torch.device("cpu") if self.reads_batches else self.device
        return TrainingSet(_on(device, train.images), _on(device, train.labels))

    @property
    def reads_batches(self) -> bool:
        """Whether the training images stay where they are, and each batch is copied to the GPU when it is its turn."""
        train = self.dataset.train
        return self.device.type == "cuda" and train is not None and not has_room(self.device, train.images.nbytes)

    @property
    def variants(self) -> tuple[Perturbation, ...]:
        """What each variant does, "clean" first."""
        return check_variants(self.profile.recording.variants)

    def epoch_recorder(self, path: Path, *, stop: StopRequest | None = None, quiet: bool = False) -> EpochRecorder:
        """What records this process's share of the validation images of the run at `path`."""
        part = self.processes.share(len(self.dataset.validation))
        return EpochRecorder(
            RecordedImages(open_run(path), part, self.device),
            settings=self.profile.recording,
            normalise=self.normaliser,
            precision=self.profile.training.precision,
            stop=stop,
            quiet=quiet,
        )

    def material(self, name: str) -> Material:
        """What run.h5 is made of."""
        return Material(
            self.description(name),
            self.dataset.validation.images,
            self.variants,
            self.profile.data.seed,
            SOURCE_NAMES,
        )

    def configuration(self) -> dict[str, Any]:
        """What determines the record and must match to resume: settings, and data and weights by their SHA-256."""
        settings = as_dict(self.profile)
        settings["data"] |= {"source": self.dataset.name, "sha256": self.dataset.checksum}
        settings["weights"] |= {"source": self.weights.source, "sha256": self.weights.sha256}
        return settings

    def preparation(self) -> dict[str, Any] | str | None:
        """How a file becomes the network's input, as run.h5 says it."""
        preparation = self.dataset.preparation
        if not isinstance(preparation, Preparation):
            return preparation
        return preparation.record() | {"mean": list(self.profile.data.mean), "sd": list(self.profile.data.sd)}

    def description(self, name: str) -> RunDescription:
        """What run.h5 says about the run."""
        validation, recording = self.dataset.validation, self.profile.recording
        provenance = collect_provenance(
            self.dataset, self.weights, device=self.device, processes=self.processes, parameters=self.parameters
        )
        if self.group:
            provenance["group"] = self.group
        return RunDescription(
            name=name,
            classes=self.dataset.classes,
            variants=tuple(each.variant() for each in self.variants),
            labels=validation.labels,
            image_names=validation.names,
            image_shape=self.dataset.image_shape,
            map_shape=self.shapes.maps,
            signed=self.network.signed,
            layers=self.shapes.layers if recording.layers else {},
            stages=self.shapes.stages if recording.layers else {},
            configuration=self.configuration(),
            provenance=provenance,
            preparation=self.preparation(),
            masks=validation.masks,
            boxes=validation.boxes,
            kept_maps=self.kept_maps,
            planned_epochs=self.profile.training.epochs,
        )


def prepare(profile: Profile, *, device: str = "auto", processes: Processes = Processes()) -> PreparedRun:
    """Loads the data and builds the network; a ComputeError or DataError says what does not fit."""
    on_device = choose_device(device)
    prepare_device(on_device, compiled=profile.training.compile)
    _check(profile, processes)
    torch.manual_seed(profile.training.seed)
    if profile.weights.source not in ("none", "imagenet") and not Path(profile.weights.source).is_file():
        # refuses a missing file before the data are loaded
        load_weights(build(profile.model.name, 2, **profile.model.options), **vars(profile.weights))
    dataset = load_images(profile.data)
    profile, notes = _fit_batch(profile, len(dataset.training_images()), processes.count)
    torch.manual_seed(profile.training.seed)  # again: the check above may have drawn numbers
    network = build(profile.model.name, len(dataset.classes), **profile.model.options)
    report = load_weights(network, **vars(profile.weights))
    network.to(on_device).to(memory_format=torch.channels_last)
    return PreparedRun(
        profile=profile,
        device=on_device,
        processes=processes,
        dataset=dataset,
        network=network,
        weights=report,
        shapes=describe(network, image_shape=dataset.image_shape, classes=len(dataset.classes)),
        notes=(*dataset.notes, *notes),
    )


def load_images(data: DataSettings, *, validation_only: bool = False) -> Dataset:
    """The images that the settings name, prepared as they say; raises DataError and BadOption."""
    size = data.size if isinstance(data.size, tuple) else (data.size, data.size)
    if len(size) != 2:
        raise BadOption(f"data.size = {list(size)} is not possible: give one number, or [height, width].")
    preparation = Preparation((size[0], size[1]), data.resize, data.crop, data.interpolation, data.white_level)
    dataset = load_dataset(
        data.source,
        preparation=preparation,
        seed=data.seed,
        selection=selection_of(data, validation_only=validation_only),
    )
    if validation_only:
        return dataset
    if data.noise:
        dataset = exchange_labels(dataset, data.noise, seed=data.seed)
    return add_threshold_class(dataset, seed=data.seed) if data.threshold_class else dataset


def selection_of(data: DataSettings, *, validation_only: bool = False) -> Selection:
    """Which images the settings take."""
    return Selection(
        data.classes or None,
        data.train_per_class or None,
        data.validation_per_class or None,
        validation_only=validation_only,
        skip_unreadable=data.skip_unreadable,
        validation_share=data.validation_share,
        class_order=data.class_order,
    )


def _fit_batch(profile: Profile, images: int, processes: int) -> tuple[Profile, tuple[str, ...]]:
    """The profile with a batch that the training images can fill, and a note if it was changed.

    Raises:
        BadOption: BatchNorm needs two images in every process, and there are fewer.
    """
    requested, least = profile.training.batch, 2 * processes
    if images < least:
        raise BadOption(
            f"{images} training images are too few for {processes} processes: BatchNorm needs two in each. "
            "Add images or use fewer processes."
        )
    if requested <= images:
        return profile, ()
    batch = max(least, min(images, STEPS_OF_SMALL_SETS), images // STEPS_OF_SMALL_SETS)
    note = (
        f"training.batch is {batch} instead of {requested}: there are only {images} training images. "
        f"Choose another with --set training.batch=..., up to {images}."
    )
    return replace(profile, training=replace(profile.training, batch=batch)), (note,)


def _check(profile: Profile, processes: Processes) -> None:
    """Refuses settings that contradict each other or the number of processes."""
    try:
        check_variants(profile.recording.variants)
    except ValueError as err:
        raise BadOption(f"recording.variants: {err}") from err
    for name in ("mean", "sd"):
        if len(getattr(profile.data, name)) != 3:
            raise BadOption(
                f"data.{name} = {list(getattr(profile.data, name))} is not one number for each of 3 channels."
            )
    if profile.training.batch < 2 * processes.count:
        raise BadOption(
            f"training.batch = {profile.training.batch} cannot be shared by {processes.count} processes: BatchNorm "
            "needs two images in each. Choose a larger batch or fewer processes."
        )


def _on(device: torch.device, values: Any) -> torch.Tensor:
    return torch.as_tensor(values).to(device)
