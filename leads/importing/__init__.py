"""Uploaded lists: files of any make read as one kind of table, rows read by a mapping. Nothing here writes."""
