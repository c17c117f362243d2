"""What the commands of the command line do, one file per subject.

Every command is a function from its parsed options to `(document, text)`: what `--json` prints,
and what a person reads. `dvt_core.cli` prints one of the two; nothing here prints.
"""
