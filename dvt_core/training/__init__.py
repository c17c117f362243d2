"""Training: a recipe, its augmentation, the loop, and the model folder it leaves behind."""
