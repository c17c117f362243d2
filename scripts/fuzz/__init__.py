"""Coverage-guided fuzzing of what takes foreign files: `make fuzz`."""
