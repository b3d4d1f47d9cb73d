"""Training the network: one epoch, its optimiser, its checkpoints."""
