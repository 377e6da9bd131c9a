"""What follows from notifications: the list of them, and the e-mails that are sent."""
