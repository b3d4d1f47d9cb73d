"""Recording a network that was trained elsewhere: its checkpoints become the epochs of a run.

Everything is checked before anything is written: the files are read, all of their tensors must fit, and that the means
of the maps are the logits is proved under every checkpoint on real images.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from tqdm import tqdm

from compute.config.profile import as_dict
from compute.config.settings import Profile
from compute.data.class_names import quote, read_text
from compute.data.dataset import Dataset, spread
from compute.data.map_style import Normalisation
from compute.data.own_transform import Transform, load_transformed
from compute.errors import BadCheckpoint, BadModel, BadOption
from compute.models import ClassMapNetwork, describe
from compute.models.adoption import Evidence, adopt
from compute.models.adoption.split import ONE_OUTPUT
from compute.models.library import ModelSpec, classes_of
from compute.recording.perturbations import Perturbation, check_variants
from compute.recording.run_recorder import Material, RunRecorder, run_exists
from compute.runs.checkpoint_files import CheckpointFile, find_files, number_epochs, thin_out
from compute.runs.device import choose_device, prepare_device
from compute.runs.interrupt import StopRequest, TimeLimit
from compute.runs.plan import Plan, make_recording_plan
from compute.runs.prepare import PreparedRun, load_images, selection_of
from compute.training.augment import Normaliser
from compute.training.checkpoints import CheckpointFolder
from compute.training.distributed import Processes
from compute.training.weights import WeightsReport
from compute.training.weights_file import SavedWeights, find_prefix, fit_weights, read_weights
from store import open_run
from store.format.description import ClassInfo, RunDescription
from store.format.layout import CHECKPOINTS, MOST_EPOCHS
from store.format.receipts import file_sha256
from store.rates import percent
from store.write.run_writer import RunWriter

PROOF_IMAGES = 16  # spread evenly over the validation images: the first ones are all of one class
CHANCE_DEVIATIONS = 3.0  # standard deviations above chance from which on an accuracy is not called chance


@dataclass(frozen=True)
class RecordRequest:
    """What is to be recorded.

    Args:
        spec: the network.
        checkpoints: files, patterns and folders of its weights.
        profile: the sections data and recording; and the precision.
        variants: names of perturbations and functions of the user's own, "clean" first.
        classes: how many the network has; 0 = as the checkpoint says.
        class_names: a file with the class folder of every output, a line each; default: the folders in text order.
        entry, prefix: see `read_weights` and `fit_weights`.
        transform: a function of the user's own that prepares images instead of the settings, except mean and sd.
        first_epoch: number of the first checkpoint, the others moving along; None = as the files say.
        every: record only every n-th checkpoint, and the last.
        layer: whose grid the maps have; see `adopt`.
        maps: False records probabilities only.
        top: keep the maps of this many classes of each image; 0 = of all.
        keep_weights: keep the recorded weights in the run, for the page Live.
    """

    spec: ModelSpec
    checkpoints: tuple[str, ...]
    profile: Profile
    variants: Sequence[str | Perturbation | Callable[..., np.ndarray]]
    classes: int = 0
    class_names: Path | None = None
    entry: str = ""
    prefix: str = ""
    transform: Transform | None = None
    first_epoch: int | None = None
    every: int = 1
    layer: str | None = None
    maps: bool = True
    top: int = 0
    keep_weights: bool = True


@dataclass(frozen=True, kw_only=True)
class RecordedModel(PreparedRun):
    """A network, its checkpoints and its images, ready to be recorded."""

    request: RecordRequest
    body: nn.Module  # whose weights the checkpoints hold: inside the network, or the network itself
    files: tuple[CheckpointFile, ...]
    evidence: Evidence

    @property
    def variants(self) -> tuple[Perturbation, ...]:
        """What each variant does."""
        return check_variants(self.request.variants)

    def configuration(self) -> dict[str, Any]:
        """What determines the record and must match to resume."""
        settings = as_dict(self.profile)
        adopted = {"layer": self.evidence.layer, "maps": self.request.maps} if self.network is not self.body else {}
        recording = settings["recording"] | {"variants": [each.name for each in self.variants]}
        return {
            "data": settings["data"] | {"source": self.dataset.name, "sha256": self.dataset.checksum},
            "model": settings["model"] | adopted,
            "training": {"precision": self.profile.training.precision},
            "recording": recording | {"top": self.request.top},
        }

    def description(self, name: str) -> RunDescription:
        """What run.h5 says about the run."""
        described = super().description(name)
        provenance = {key: value for key, value in described.provenance.items() if key != "initial_weights"}
        provenance["checkpoints"] = [
            {"epoch": each.epoch, "file": each.path.name, "sha256": file_sha256(each.path)} for each in self.files
        ]
        return replace(
            described,
            provenance=provenance,
            evidence=self.evidence.kind,
            evidence_error=self.evidence.error,
            planned_epochs=0,  # whoever trained it may have planned more
        )

    def load(self, file: CheckpointFile) -> dict[str, Tensor]:
        """Loads a checkpoint's weights into the network and returns them, by the names of its body."""
        return _load(self.body, self.network, file.path, self.request)


class RecordingJob:
    """Records the checkpoints that a run still lacks."""

    def __init__(self, prepared: RecordedModel) -> None:
        self.prepared = prepared

    def material(self, path: Path) -> Material:
        """What the run at `path` is or will be made of.

        Raises:
            BadCheckpoint: a file has changed since its epoch was recorded.
        """
        material = self.prepared.material(path.name)
        if run_exists(path):
            _check_unchanged(path, material.description.provenance["checkpoints"])
        return material

    def left(self, complete: Sequence[int]) -> int:
        """How many checkpoints are not recorded yet."""
        return sum(file.epoch not in complete for file in self.prepared.files)

    def plan(self, path: Path, left: int, *, is_new: bool) -> Plan:
        """The plan of recording `left` checkpoints."""
        return make_recording_plan(self.prepared, path, left=left, is_new=is_new, work=self._work())

    def run(self, writer: RunWriter, stop: StopRequest, limit: TimeLimit | None) -> None:
        """Records every checkpoint that is left.

        Raises:
            Interrupted: a stop was requested, or (OutOfTime) the time limit is near; complete epochs are kept.
        """
        prepared = self.prepared
        recorder = RunRecorder(writer, prepared.epoch_recorder(writer.path, stop=stop), processes=prepared.processes)
        weights = CheckpointFolder(writer.path / CHECKPOINTS, run_id=writer.facts.id)
        if limit and writer.complete_epochs:
            limit.expect(float(open_run(writer.path).metrics()["record_seconds"].max()))
        try:
            for file in self.prepared.files:
                if file.epoch in writer.complete_epochs:
                    continue
                if limit:
                    limit.check()
                started = time.perf_counter()
                state = prepared.load(file)
                if prepared.processes.first and prepared.request.keep_weights:
                    weights.save_weights(file.epoch, state, {})
                title = f"{file.path.name} recording"
                metrics = recorder.record(file.epoch, prepared.network, {}, title=title, label=file.label)
                if prepared.processes.first:
                    tqdm.write(_summary(file, metrics, prepared.dataset))
                if limit:
                    limit.epoch_finished(time.perf_counter() - started)
        finally:
            recorder.wait()

    def _work(self) -> tuple[str, ...]:
        evidence, epochs = self.prepared.evidence, [file.epoch for file in self.prepared.files]
        numbers = f"{', '.join(map(str, epochs[:8]))}{f', ... {epochs[-1]}' if len(epochs) > 8 else ''}"
        weights = f"{len(epochs)} checkpoints as epochs {numbers}" if epochs[1:] else f"1 checkpoint as epoch {numbers}"
        what = {
            "network": "the network's own class maps",
            "none": "none: the record has probabilities only",
        }.get(evidence.kind, f"{evidence.kind}, at '{evidence.layer}': mean(map) is the logit to {evidence.error:.1e}")
        kept = f", kept of the {self.prepared.request.top} strongest classes" if self.prepared.request.top else ""
        return (f"weights   {weights}", f"maps      {what}{kept}")


def prepare_recording(
    request: RecordRequest, *, device: str = "auto", processes: Processes = Processes()
) -> RecordedModel:
    """Reads the images and every checkpoint, builds the network and proves its maps; nothing is written.

    Raises:
        ComputeError, DataError: something does not fit; the message says what.
    """
    on_device = choose_device(device)
    prepare_device(on_device, compiled=False)
    check_variants(request.variants)
    files = _numbered_files(request)
    first = read_weights(files[-1].path, entry=request.entry)
    classes = request.classes or _classes_in(first, request)
    if classes == 1:
        raise BadModel(f"{ONE_OUTPUT} Name such a module of yours: --model package.module:factory.")
    data = request.profile.data
    if data.source == "phantom" and classes:  # its first classes are a set of their own
        data = replace(data, classes=classes)
    request = replace(request, profile=replace(request.profile, data=data))
    if request.transform:
        normalisation, selection = Normalisation(data.mean, data.sd), selection_of(data, validation_only=True)
        dataset = load_transformed(data.source, request.transform, normalisation, seed=data.seed, selection=selection)
    else:
        dataset = load_images(data, validation_only=True)
    dataset = order_classes(dataset, classes, request.class_names)
    body = request.spec.build(len(dataset.classes)).to(on_device).to(memory_format=torch.channels_last).eval()
    normalise = Normaliser(request.profile.data.mean, request.profile.data.sd, on_device)
    images = dataset.validation.taken(spread(len(dataset.validation), PROOF_IMAGES)).images
    network, evidence = _prove(body, files, request, normalise(torch.from_numpy(images).to(on_device)))
    return RecordedModel(
        profile=request.profile,
        device=on_device,
        processes=processes,
        dataset=dataset,
        network=network,
        weights=WeightsReport(files[-1].path.name),
        shapes=describe(network, image_shape=dataset.image_shape, classes=len(dataset.classes)),
        notes=(*dataset.notes, *_notes(first)),
        kept_maps=request.top,
        request=request,
        body=body,
        files=files,
        evidence=evidence,
    )


def _numbered_files(request: RecordRequest) -> tuple[CheckpointFile, ...]:
    """The files of weights that are to be recorded, with their epochs."""
    paths = find_files(request.checkpoints)
    trust = read_weights(paths[0], entry=request.entry).epoch_is_certain
    files = number_epochs(paths, lambda path: read_weights(path, entry=request.entry).epoch, trust_files=trust)
    if request.first_epoch is not None:
        later = request.first_epoch - files[0].epoch
        if files[-1].epoch + later >= MOST_EPOCHS:
            raise BadOption(
                f"--first-epoch {request.first_epoch} is invalid: the last epoch must be below {MOST_EPOCHS}."
            )
        files = tuple(replace(file, epoch=file.epoch + later) for file in files)
    return thin_out(files, request.every)


def order_classes(dataset: Dataset, classes: int | None, names: Path | None) -> Dataset:
    """The data set with its classes in the order of the network's outputs.

    Args:
        dataset: with the class folders in text order.
        classes: how many outputs the network has; None = as many as there are folders.
        names: a file with the folder of each output, a line each. Outputs without a folder are classes without images.

    Raises:
        BadOption: the numbers differ, or a folder is not in the file.
    """
    found = {each.id: each for each in dataset.classes}
    if names is None:
        if classes not in (None, len(found)):
            raise BadOption(
                f"The network has {classes} classes, but the images have {len(found)}. Name a file with --class-names "
                "that has the class folder of every output, a line each in the order of the outputs."
            )
        return dataset
    ids = [line.strip() for line in read_text(names).splitlines() if line.strip()]
    unknown = sorted(found.keys() - set(ids))
    if unknown or len(set(ids)) != len(ids) or (classes or len(ids)) != len(ids):
        problem = (
            f"does not name the folders {quote(unknown)}"
            if unknown
            else f"has {len(ids)} lines ({len(set(ids))} different ones), and the network has {classes} classes"
        )
        raise BadOption(f"'{names}' {problem}. It needs the folder of every output, a line each, none twice.")
    ordered = tuple(
        found.get(each) or ClassInfo(each, each.replace("_", " "), dataset.classes[0].group) for each in ids
    )
    place = np.array([ids.index(each.id) for each in dataset.classes])
    labels = place[dataset.validation.labels]
    if (place == np.arange(len(place))).all():
        return replace(dataset, classes=ordered)
    moved = replace(dataset.validation, labels=labels).taken(np.argsort(labels, kind="stable"))
    return replace(dataset, classes=ordered, validation=moved)


def _classes_in(saved: SavedWeights, request: RecordRequest) -> int | None:
    """How many classes the checkpoint says that the network has."""

    def shape(name: str) -> tuple[int, ...]:
        return tuple(saved.tensors[prefix + name].shape)

    try:
        with torch.device("meta"):
            names = request.spec.build(2).state_dict().keys()
    except BadModel:
        raise
    except Exception:  # a factory of one's own may fail in any way without memory; the number of folders is tried
        return None
    prefix = request.prefix or find_prefix(saved, names)
    return classes_of(request.spec, {name for name in names if prefix + name in saved.tensors}, shape)


def _prove(
    body: nn.Module, files: Sequence[CheckpointFile], request: RecordRequest, images: Tensor
) -> tuple[ClassMapNetwork, Evidence]:
    """The network with class maps, and the evidence under all checkpoints: the largest error counts.

    Raises:
        BadModel: it has none, or maps of another kind under one of the checkpoints.
    """
    if isinstance(body, ClassMapNetwork):
        for file in files:
            _load(body, body, file.path, request)
        return body, Evidence("network", math.nan, "", (0, 0))
    proofs: list[Evidence] = []
    network = None
    for file in files:
        _load(body, network, file.path, request)
        # The layer found under the first one holds for all: a run has maps of one shape.
        layer = proofs[0].layer if proofs and proofs[0].layer else request.layer
        try:
            network = adopt(body, images, layer, maps=request.maps)
        except BadModel as err:
            err.add_note("these are the options --layer NAME and --probabilities-only")
            raise
        proofs.append(network.evidence)
        if proofs[-1].kind != proofs[0].kind:
            raise BadModel(
                f"The maps are {proofs[0].kind} under '{files[0].path.name}', but {proofs[-1].kind} under "
                f"'{file.path.name}'. Record these checkpoints in runs of their own, or name another --layer."
            )
    assert network is not None  # `find_files` gives one file at least
    return network, replace(proofs[0], error=max(proof.error for proof in proofs))


def _load(body: nn.Module, network: nn.Module | None, path: Path, request: RecordRequest) -> dict[str, Tensor]:
    own = body.state_dict()
    state = fit_weights(read_weights(path, entry=request.entry), own, prefix=request.prefix)
    body.load_state_dict(state, strict=len(state) == len(own))
    if network is not None:
        network.eval()  # an adopted network looks at its weights again
    return {name: value.detach().cpu() for name, value in body.state_dict().items()}


def _notes(saved: SavedWeights) -> tuple[str, ...]:
    """Sentences for the plan about what was not taken from the checkpoints."""
    if not saved.others:
        return ()
    return (
        f"Of '{saved.path.name}' the entry '{saved.entry}' is taken; it also has {', '.join(saved.others)}. "
        "Name another one with --entry.",
    )


def _check_unchanged(path: Path, checkpoints: Sequence[Mapping[str, Any]]) -> None:
    """Refuses a file that gives an epoch of the run, but is not the one that the epoch was recorded from."""
    recorded = open_run(path).provenance.get("checkpoints", [])
    known = {each["epoch"]: each for each in recorded}
    for each in checkpoints:
        before = known.get(each["epoch"], each)
        if before["sha256"] != each["sha256"]:
            raise BadCheckpoint(
                f"Epoch {each['epoch']} of '{path}' is planned from '{before['file']}', but '{each['file']}' is "
                "another file (its SHA-256 differs). Record it under another name: --run NAME."
            )


def _summary(file: CheckpointFile, metrics: Mapping[str, float], dataset: Dataset) -> str:
    """One line about a recorded checkpoint, and a warning where its accuracy is that of guessing."""
    top1, images = metrics["validation_top1"], len(dataset.validation.labels)
    line = (
        f"epoch {file.epoch} ({file.path.name}): top-1 {percent(top1, 2)}, loss {metrics['validation_loss']:.3f}, "
        f"{metrics['record_seconds']:.0f} s recording"
    )
    chance = 1 / len(dataset.classes)
    if top1 > chance + CHANCE_DEVIATIONS * math.sqrt(chance * (1 - chance) / images):
        return line
    return line + (
        f"\nwarning: that is no better than guessing among {len(dataset.classes)} classes. Unless the network is "
        "untrained, its outputs may be in another order than the class folders (--class-names), or the images "
        "prepared in another way than in its training (--transform, --resize, --crop, --mean, --sd)."
    )
