"""What a manifest is: its columns, its cells, and when a row can become a sample.

Bytes come in as text or as sheets, and valid rows, problems and warnings come out. Nothing here
reads a file, asks another service, or knows what day it is unless it is told.
"""
