"""Writing a model to a file, and proving that the file answers like the model."""
