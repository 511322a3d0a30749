"""The run folder, and the index over run folders."""
