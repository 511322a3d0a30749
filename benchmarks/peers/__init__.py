"""Other tools at the same job, each as its guide shows it; they run in an environment of their own."""
