"""Networks: weights, building, the layer tree, freezing, checkpoints."""
