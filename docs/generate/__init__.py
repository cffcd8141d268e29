"""Generators of everything in the repository that is derived from something else."""
