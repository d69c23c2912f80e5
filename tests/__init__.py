"""The tests: one file for each module, with `strategies` for random values and `reference` for what is right."""
