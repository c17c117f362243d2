"""The parts of the page Models & paper, one per file."""
