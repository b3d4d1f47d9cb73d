import pytest
import torch
from torch import nn

from compute.errors import BadModel
from compute.models.adoption import adopt
from compute.models.adoption.grid import GridForm
from compute.models.adoption.search import locality, repeated_layers
from compute.models.adoption.split import Split


class ClassToken(nn.Module):
    """A class token and 4x4 patches of 16 features, so that the features could be read as 4x4 cells, too."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.patches = nn.Conv2d(3, 16, 4, 4)
        layer = nn.TransformerEncoderLayer(16, 2, 32, dropout=0, batch_first=True, norm_first=True)
        self.blocks = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.norm, self.head = nn.LayerNorm(16), nn.Linear(16, 3)

    def forward(self, x):
        tokens = self.patches(x).flatten(2).mT
        tokens = torch.cat([tokens.new_ones(len(x), 1, 16), tokens], 1)
        return self.head(self.norm(self.blocks(tokens))[:, 0])


def test_features_are_not_read_as_cells_where_the_head_takes_the_class_token():
    """Every linear head is affine in the features: read as 4x4 cells they would pass the proof as exact maps."""
    network = adopt(ClassToken(), torch.rand(4, 3, 16, 16))
    assert (network.evidence.kind, network.evidence.layer) == ("linearised", "blocks.layers.0")


def test_the_halves_of_an_image_change_their_halves_of_a_grid_and_no_halves_of_the_features():
    model, x = ClassToken().eval(), torch.rand(2, 3, 16, 16)
    split = Split(model, "norm")
    with torch.no_grad():
        assert locality(split, GridForm("tokens", 4, 4, 1), x) > 0.3
        assert abs(locality(split, GridForm("transposed_tokens", 4, 4), x)) < 0.1
        assert locality(Split(model, "patches"), GridForm("channels_first", 4, 4), x) == pytest.approx(1)


class Square(nn.Module):
    """As many channels as rows and columns, at the end of the tensor, with weights of its own for every cell."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.pixels, self.last, self.fc = nn.Conv2d(3, 4, 4, 4), nn.Identity(), nn.Linear(64, 3)

    def forward(self, x):
        return self.fc(self.last(self.pixels(x).permute(0, 2, 3, 1)).flatten(1))


def test_a_cubic_tensor_is_read_along_the_axes_that_are_places():
    x = torch.rand(3, 3, 16, 16)
    network = adopt(Square(), x, "last")
    changed = x.clone()
    changed[:, :, :4, :4] = 0  # the first cell
    with torch.no_grad():
        cells = (network(changed) - network(x)).abs().amax((0, 1)) > 1e-5
    assert cells.nonzero().tolist() == [[0, 0]]


class Mirrored(nn.Module):
    def __init__(self):
        super().__init__()
        self.features, self.fc = nn.Sequential(nn.Conv2d(3, 4, 4, 4), nn.ReLU()), nn.Linear(4, 3)

    def forward(self, x):
        return sum(self.fc(self.features(each).mean((2, 3))) for each in (x, x.flip(-1)))


def test_a_layer_that_is_run_twice_is_named_in_the_refusal():
    model, x = Mirrored(), torch.rand(3, 3, 16, 16)
    assert repeated_layers(model, x) == ["features", "fc", "features.0"]
    with pytest.raises(BadModel, match="'features' does not count, because it is run several times"):
        adopt(model, x)
