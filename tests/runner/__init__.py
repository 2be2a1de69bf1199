"""How the tests are run: shared servers, the seed of the samples, rooms, and the CPU budget."""
