"""What the transaction service does with submissions, step outcomes, timers and questions."""
