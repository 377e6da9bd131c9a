"""Message in, decide on the log, answer out: single samples, submissions, and questions."""
