"""Message in, decide on the log, answer out: places, reservations, and questions about both."""
