"""Message in, decide on the log, answer out: `desk` edits, the others ask and move rollouts."""
