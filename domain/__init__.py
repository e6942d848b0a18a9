"""The specification: pure functions from values to values or to one refusal. No clock, file, thread, database or framework."""
