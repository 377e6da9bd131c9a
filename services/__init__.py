"""The services, their table and the command line. Services never import each other."""
