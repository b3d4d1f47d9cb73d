"""Training a class-map network and recording everything it shows. The only package that may import torch."""
