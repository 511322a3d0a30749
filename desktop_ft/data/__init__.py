"""A folder becomes a manifest, a manifest becomes batches."""
