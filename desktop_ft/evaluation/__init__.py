"""What the trained model gets right and wrong."""
