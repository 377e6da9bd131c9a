"""What follows from the logs of sagas: the list of transactions, and the auditor of that list."""
