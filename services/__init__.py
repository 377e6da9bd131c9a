"""The services, their table and the command line. Services never import each other."""

import gc

# What imports make stays: looking for garbage among it is time lost at every start.
gc.set_threshold(100_000)
