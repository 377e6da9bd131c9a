"""The engine: what a definition is, what may stand in one, and what a saga does next."""
