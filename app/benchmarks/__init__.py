"""What this project measured and stored in `assets/benchmarks`, checked when it is read."""
