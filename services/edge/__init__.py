"""The edge: the laboratory's one HTTP address, made from the contracts of all services."""
