"""What is asked of the thresholds, and stored tables replayed under them."""
