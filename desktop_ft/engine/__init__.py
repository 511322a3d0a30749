"""The engine: batches, a network, a loss; no images, no Qt."""
