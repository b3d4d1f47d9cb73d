"""Reference explanations of a single image, to compare with its class maps: Grad-CAM and the deconvnet.

Both come from captum and cost a backward pass for every image, class and layer.
"""

from __future__ import annotations

import copy

import numpy as np
import torch
from captum.attr import Deconvolution, LayerGradCam
from numpy.typing import NDArray
from torch import Tensor, nn

from compute.errors import BadOption
from compute.live.predictor import Predictor


class Logits(nn.Module):
    """S_k (n, C), the means of a network's class maps (paper, Eq. 8); no ReLU is in place, for captum's hooks."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = copy.deepcopy(network).eval()  # captum hooks into the modules
        for module in self.network.modules():
            if isinstance(module, nn.ReLU):
                module.inplace = False

    def forward(self, x: Tensor) -> Tensor:
        """Logits of the network's input x (n, 3, h, w)."""
        return self.network(x).mean((-1, -2))


def explainable_layers(predictor: Predictor) -> tuple[str, ...]:
    """The layers that `grad_cam` accepts for this network: the encoder's stages and modules."""
    encoder = getattr(predictor.network, "encoder", None)
    return tuple(name for name, _ in encoder.named_children() if name != "relu") if encoder is not None else ()


def grad_cam(
    predictor: Predictor, image: NDArray[np.uint8], *, class_index: int, layer: str = "layer4"
) -> NDArray[np.float32]:
    """Grad-CAM of a class at a layer: (h, w) float32, not negative, at the layer's own size, unit: logits per cell.

    relu(sum_j alpha_j a_j), with alpha_j the mean over the cells of dS_k/da_j.

    Args:
        image: uint8 (h, w, 3) of the run's image size.
        class_index: k.
        layer: one of `explainable_layers`.

    Raises:
        BadOption: an unknown layer or class, or another image size.

    Source:
        Selvaraju et al. 2017, Eq. 1 and 2.
    """
    logits = Logits(predictor.network)
    known = explainable_layers(predictor)
    if layer not in known:
        raise BadOption(f"There is no layer '{layer}' to explain. This network has: {', '.join(known) or 'none'}.")
    x = predictor.input_of(image[None])
    _check_class(logits, x, class_index)
    module = logits.network.get_submodule(f"encoder.{layer}")
    attribution = LayerGradCam(logits, module).attribute(x, target=class_index, relu_attributions=True)
    return attribution[0, 0].detach().float().cpu().numpy()


def deconvolution(predictor: Predictor, image: NDArray[np.uint8], *, class_index: int) -> NDArray[np.float32]:
    """What drives a class, projected back to the image by the deconvnet: (h, w, 3) float32, signed, input units.

    Backwards through the network: transposed filters, unpooling to where the maximum was (the switches), and a ReLU on
    what flows back instead of the gate of the forward pass. Functional ReLUs of a user's own network keep their gate.

    Args:
        image: uint8 (h, w, 3) of the run's image size.
        class_index: k.

    Raises:
        BadOption: an unknown class, or another image size.

    Source:
        Zeiler and Fergus 2014, Sec. 2.1.
    """
    logits = Logits(predictor.network)
    x = predictor.input_of(image[None])
    _check_class(logits, x, class_index)
    attribution = Deconvolution(logits).attribute(x.requires_grad_(), target=class_index)
    return attribution[0].permute(1, 2, 0).detach().float().cpu().numpy()


def _check_class(logits: Logits, x: Tensor, class_index: int) -> None:
    with torch.inference_mode():
        classes = logits(x).shape[1]
    if not 0 <= class_index < classes:
        raise BadOption(f"There is no class {class_index}. This network has {classes} classes, 0 to {classes - 1}.")
