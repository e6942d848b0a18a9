"""Mutation testing with cosmic-ray: ``make mutants``."""
