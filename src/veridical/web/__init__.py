"""The page on which files are decoded in a browser: served on this machine, or written as a static site."""
