"""Training a class-map network and recording its maps. The only package that may import torch."""
