"""What times the application; see docs/benchmarks.md."""
