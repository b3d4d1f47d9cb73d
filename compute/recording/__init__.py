"""One epoch's record: images and their perturbations through the network, maps into the store."""
