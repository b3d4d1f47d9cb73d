"""Training the network: one epoch, its optimizer, its checkpoints."""
