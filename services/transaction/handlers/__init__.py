"""What the transaction service does with each message: submissions, step outcomes, timers, questions."""
