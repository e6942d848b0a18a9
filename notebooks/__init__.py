"""Articles over the read models, and the simulated world that they are run against."""
