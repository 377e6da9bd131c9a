"""What storage reads from: the inventory in memory, and the lists in the document store."""
