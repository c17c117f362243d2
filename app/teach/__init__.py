"""The lesson as data: steps, guesses, quiz; presenter mode."""
