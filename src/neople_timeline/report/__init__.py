"""The report that people look at: one frozen summary in, a page and a mail out."""
