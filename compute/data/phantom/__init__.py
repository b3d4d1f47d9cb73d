"""The built-in image set, for which the effect of every perturbation is known beforehand."""
