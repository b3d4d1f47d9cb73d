"""A reference explanation of a single image, to compare with its class maps: Grad-CAM.

It comes from captum and costs a backward pass for every image, class and layer.
"""

from __future__ import annotations

import copy

import numpy as np
import torch
from captum.attr import LayerGradCam
from numpy.typing import NDArray
from torch import Tensor, nn

from compute.errors import BadOption
from compute.live.predictor import Predictor
from compute.models import ClassMapNetwork
from compute.models.adoption import AdoptedNetwork
from compute.models.adoption.split import logits_of


class Logits(nn.Module):
    """S_k (n, C): the means of a network's class maps (paper, Eq. 8), or what an adopted classifier returns.

    No ReLU is in place, for captum's hooks.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        model = network.body if isinstance(network, AdoptedNetwork) else network
        self.network = copy.deepcopy(model).eval()  # captum hooks into the modules
        for module in self.network.modules():
            if isinstance(module, nn.ReLU):
                module.inplace = False

    def forward(self, x: Tensor) -> Tensor:
        """Logits of the network's input x (n, 3, h, w)."""
        output = self.network(x)
        return output.mean((-1, -2)) if isinstance(self.network, ClassMapNetwork) else logits_of(output)


def explainable_layers(predictor: Predictor) -> tuple[str, ...]:
    """The layers that `grad_cam` accepts for this network: an encoder's stages and modules, an adopted one's grid."""
    network = predictor.network
    if isinstance(network, AdoptedNetwork):
        return (network.evidence.layer,) if _has_channels_first(network, predictor.image_shape) else ()
    encoder = getattr(network, "encoder", None)
    return tuple(name for name, _ in encoder.named_children() if name != "relu") if encoder is not None else ()


def _has_channels_first(network: AdoptedNetwork, image_shape: tuple[int, int]) -> bool:
    """Whether the adopted grid is what a module returns as (n, channels, h, w), which Grad-CAM needs."""
    shapes: list[tuple[int, ...]] = []
    modules, layer = dict(network.body.named_modules()), network.evidence.layer
    if layer not in modules:  # what goes into a module, or no grid at all
        return False
    hook = modules[layer].register_forward_hook(
        lambda _m, _i, output: shapes.append(tuple(getattr(output, "shape", ())))
    )
    try:
        with torch.no_grad():
            network.body(torch.zeros(1, 3, *image_shape, device=next(network.body.parameters()).device))
    finally:
        hook.remove()
    return len(shapes) == 1 and len(shapes[0]) == 4 and shapes[0][2:] == network.evidence.map_shape


def grad_cam(
    predictor: Predictor, image: NDArray[np.uint8], *, class_index: int, layer: str | None = None
) -> NDArray[np.float32]:
    """Grad-CAM of a class at a layer: (h, w) float32, not negative, at the layer's own size, unit: logits per cell.

    relu(sum_j alpha_j a_j), with alpha_j the mean over the cells of dS_k/da_j.

    Args:
        image: uint8 (h, w, 3) of the run's image size.
        class_index: k.
        layer: one of `explainable_layers`; the last of them unless given.

    Raises:
        BadOption: an unknown layer or class, or another image size.

    Source:
        Selvaraju et al. 2017, Eq. 1 and 2.
    """
    logits = Logits(predictor.network)
    known = explainable_layers(predictor)
    layer = layer or next(reversed(known), "the grid of the maps")
    if layer not in known:
        raise BadOption(f"There is no layer '{layer}' to explain. This network has: {', '.join(known) or 'none'}.")
    x = predictor.input_of(image[None])
    with torch.inference_mode():
        classes = logits(x).shape[1]
    if not 0 <= class_index < classes:
        raise BadOption(f"There is no class {class_index}. This network has {classes} classes, 0 to {classes - 1}.")
    inside = "" if isinstance(predictor.network, AdoptedNetwork) else "encoder."
    module = logits.network.get_submodule(inside + layer)
    attribution = LayerGradCam(logits, module).attribute(x, target=class_index, relu_attributions=True)
    return attribution[0, 0].detach().float().cpu().numpy()
