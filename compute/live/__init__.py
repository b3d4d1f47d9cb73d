"""A recorded network loaded again for one image: predictions, maps and reference explanations."""
