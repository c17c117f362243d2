"""Who computes, and when: the inference worker, and the queue of long work."""
