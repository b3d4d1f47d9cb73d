"""A model cut at one layer: what the layer gives can be read, replaced, and the rest of the model run from there."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from compute.errors import BadModel

AT_INPUT = ":in"  # "blocks.11:in" is what goes into blocks.11
# what a head may raise when it gets a tensor that it was not built for
FAILURES = (BadModel, RuntimeError, TypeError, ValueError, IndexError, AssertionError)
ONE_OUTPUT = (
    "The model returns one number for an image, as for a sigmoid. Class maps need a logit for each class: return two "
    "from its forward, whose softmax is that sigmoid: torch.cat([torch.zeros_like(z), z], 1), where z is (images, 1)."
)
Visitor = Callable[[Tensor], Tensor | None]  # gets the layer's tensor; what it returns takes that tensor's place


def output_on(model: nn.Module, x: Tensor) -> Any:
    """What the model returns for images x (n, 3, h, w).

    Raises:
        BadModel: it cannot be run on them.
    """
    try:
        return model(x)
    except FAILURES as err:
        problem = (str(err).splitlines() or [type(err).__name__])[0].rstrip(". ")
        raise BadModel(
            f"The model cannot be run on a tensor of images {tuple(x.shape)}: {problem}. It has to take what is "
            "recorded: (images, channels, height, width), of the size and with the channels of the data's images. "
            "Where it takes something else, wrap it in a module whose forward makes that of these images."
        ) from err


def logits_of(output: Any) -> Tensor:
    """The logits (n, C) among what a classifier returns.

    A tensor; what has the name `logits` in a mapping, a dataclass or a Hugging Face output; or the only matrix in a
    mapping or tuple. Of several matrices of one shape the first, unless that is the softmax of another one
    (Ultralytics), which then are the logits.

    Raises:
        BadModel: there is none, only probabilities are, or which are the logits cannot be known.
    """
    named = output.get("logits") if isinstance(output, Mapping) else getattr(output, "logits", None)
    output = named if isinstance(named, Tensor) else output
    if isinstance(output, Mapping | tuple | list):
        entries = output.values() if isinstance(output, Mapping) else output
        matrices = [entry for entry in entries if isinstance(entry, Tensor) and entry.ndim == 2]
        if len({matrix.shape for matrix in matrices}) > 1:
            raise BadModel(
                f"The model returned several matrices: {', '.join(str(tuple(each.shape)) for each in matrices)}. Which "
                "of them has the logits? Wrap it in a module that returns that one."
            )
        if len(matrices) > 1 and _are_probabilities(matrices[0]):
            matrices = [entry for entry in matrices if not _are_probabilities(entry)] or matrices
        output = matrices[0] if matrices else output
    if isinstance(output, Tensor) and output.ndim == 1:  # one number for each image, which is refused in words
        return output[:, None]
    if not isinstance(output, Tensor) or output.ndim != 2:
        shape = f" of shape {tuple(output.shape)}" if isinstance(output, Tensor) else ""
        raise BadModel(
            f"The model returned an object of type {type(output).__name__}{shape}. A classifier returns logits "
            "(images, classes), alone, as the only matrix of a tuple or mapping, or under the name 'logits'. Wrap it "
            "in a module that does."
        )
    return output


def refuse_other_outputs(logits: Tensor, model: nn.Module, x: Tensor) -> None:
    """Raises BadModel unless what the model returns for images x (n, 3, h, w) are finite logits (n, C), C > 1."""
    if logits.shape[1] < 2:
        raise BadModel(ONE_OUTPUT)
    if not logits.isfinite().all():
        raise BadModel(
            "The model returns NaN or infinity for some images. Check its weights, and that images are prepared for it."
        )
    if _are_probabilities(logits):  # no class map has a probability as its mean
        raise BadModel(
            "The model returns probabilities: every row of its output is from 0 to 1 and sums to 1. "
            "Class maps add up to logits, so leave the softmax out of the model."
        )
    if bool(((logits >= 0) & (logits <= 1)).all()):
        with torch.enable_grad():
            last = type(logits_of(model(x)).grad_fn).__name__
        if last.startswith("SigmoidBackward"):
            raise BadModel(
                "The model ends in a sigmoid: each class has a probability of its own. Classprint records the softmax "
                "of logits, so leave the sigmoid out of the model."
            )


def _are_probabilities(rows: Tensor) -> bool:
    rows = rows.detach().float()
    return rows.shape[1] > 1 and bool((rows >= 0).all()) and bool(((rows.sum(1) - 1).abs() < 1e-3).all())


class Split:
    """A model and one of its layers, named as in `named_modules`, with `:in` for what goes into it."""

    def __init__(self, model: nn.Module, layer: str) -> None:
        """Raises BadModel if the model has no such module."""
        self.model, self.layer = model, layer
        name = layer.removesuffix(AT_INPUT)
        modules = dict(model.named_modules())
        if not name or name not in modules:
            raise BadModel(f"{type(model).__name__} has no layer '{name}'. Its layers: {', '.join(_first(modules))}.")
        self.module = modules[name]
        self.at_input = layer.endswith(AT_INPUT)

    def run(self, x: Tensor, visit: Visitor) -> Tensor:
        """The logits (n, C) float32 of images x, `visit` being shown the layer's tensor on the way.

        Raises:
            BadModel: the layer gave no tensor, or was not run.
        """
        visited = 0

        def before(_module: nn.Module, inputs: tuple[Any, ...]) -> Any:
            nonlocal visited
            visited += 1
            replacement = visit(_tensor_of(inputs, self.layer))
            return None if replacement is None else (replacement, *inputs[1:])

        def after(_module: nn.Module, _inputs: Any, output: Any) -> Any:
            nonlocal visited
            visited += 1
            replacement = visit(_tensor_of(output, self.layer))
            if replacement is None or isinstance(output, Tensor):
                return replacement
            return type(output)((replacement, *output[1:]))

        hook = self.module.register_forward_pre_hook(before) if self.at_input else None
        hook = hook or self.module.register_forward_hook(after)
        try:
            logits = logits_of(self.model(x))
        finally:
            hook.remove()
        if visited != 1:
            raise BadModel(
                f"The layer '{self.layer}' was run {visited} times for one batch. Name one that is run once, "
                "such as the block that contains it."
            )
        return at_least_float32(logits)

    def head(self, raw: Tensor, x: Tensor, reached: Callable[[], None] | None = None) -> Tensor:
        """The logits (m, C) float32 of the model from the layer on, for m rows of the layer's tensor.

        The layers before it see one image, whose result is replaced: their cost is that of one image. `reached` is
        called when they have run.
        """

        def visit(own: Tensor) -> Tensor:
            if reached:
                reached()
            return raw.to(own.dtype, copy=True)  # a copy: heads work in place

        logits = self.run(x[:1], visit)
        if len(logits) != len(raw):
            raise BadModel(f"The layers after '{self.layer}' mix images or depend on more than that layer.")
        return logits


def _tensor_of(value: Any, layer: str) -> Tensor:
    tensor = value[0] if isinstance(value, tuple | list) and value else value
    if not isinstance(tensor, Tensor):
        raise BadModel(f"The layer '{layer}' gives a {type(tensor).__name__}. Name one that gives a tensor.")
    return tensor


def _first(modules: Mapping[str, nn.Module]) -> list[str]:
    top = [name for name in modules if name and "." not in name]
    return top[:20] + (["..."] if len(top) > 20 else [])


def at_least_float32(values: Tensor) -> Tensor:
    """Half precision widened; float64, in which a network may be proved, as it is."""
    return values if values.dtype == torch.float64 else values.float()


def ordinary_tensor(x: Tensor) -> Tensor:
    """x itself, or a copy that autograd accepts where x was made in inference mode; call it outside of that mode."""
    return x.clone() if x.is_inference() else x


@contextlib.contextmanager
def exact_float32(device: torch.device) -> Iterator[None]:
    """Full float32 arithmetic, whatever precision surrounds it: no autocast, no TensorFloat-32."""
    with torch.autocast(device.type, enabled=False), torch.backends.cudnn.flags(allow_tf32=False):
        yield
